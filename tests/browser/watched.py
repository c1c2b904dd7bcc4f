"""Runs app.py and writes down every address this process asks for: `python watched.py LOG [flags of app.py]`."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
log = Path(sys.argv[1])


def note(event: str, arguments: tuple) -> None:
    """An audit hook sees each connection before it is made, whichever library makes it."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = arguments[:1]
    else:
        return
    host = address[0] if isinstance(address, tuple) else address
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{event} {host!r}\n")


log.touch()
sys.addaudithook(note)
sys.argv = [str(ROOT / "app.py"), *sys.argv[2:]]
sys.path[0] = str(ROOT)
runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
