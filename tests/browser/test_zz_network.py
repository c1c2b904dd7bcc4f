"""Nothing leaves the machine: the browser's requests are watched in every test, the server's connections here.

The file's name makes it the last of the folder, so that it looks back on everything the others did.
"""

import ipaddress
import re


def test_the_server_talks_to_loopback_only(visit, studio):
    visit()
    lines = studio.connections.read_text().splitlines()
    hosts = {re.search(r"'(.*)'", line).group(1) for line in lines if re.search(r"'(.*)'", line)}
    assert {host for host in hosts if not local(host)} == set()


def local(host: str) -> bool:
    """A loopback address or name, or a socket in the file system."""
    if host in ("localhost", "") or host.startswith("/"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
