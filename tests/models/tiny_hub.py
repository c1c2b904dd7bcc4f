"""A hub on 127.0.0.1 that serves one tiny model repository with the hub's own API, and can misbehave on demand."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class TinyHub:
    """Serve `files` (path -> bytes) as repository `repo`.

    Attributes:
        cuts: for how many more downloads of a large file the connection is cut in the middle.
        pause: seconds between two blocks of a large file.
        status: answer everything with this HTTP status (0: behave).
        ranges: the Range headers that were asked for; ignore_ranges: answer them with the whole file.
        corrupt: paths that are sent with one byte flipped.
    """

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo, self.files = repo, files
        self.cuts, self.pause, self.status = 0, 0.0, 0
        self.ranges: list[str] = []
        self.served: list[str] = []
        self.corrupt: set[str] = set()
        self.ignore_ranges = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def info(self) -> dict:
        """What /api/models/<repo>/revision/<rev>?blobs=true answers."""
        return {"id": self.repo, "sha": COMMIT, "siblings": [self._sibling(path, data) for path, data in self.files.items()]}

    def _sibling(self, path: str, data: bytes) -> dict:
        row = {"rfilename": path, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
        if path.endswith((".safetensors", ".bin")):
            row["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
        return row

    def _handler(hub):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                path = self.path.partition("?")[0]
                if hub.status:
                    self._send(hub.status, b"{}")
                elif path.startswith(f"/api/models/{hub.repo}"):
                    self._send(200, json.dumps(hub.info()).encode())
                elif path.startswith(f"/{hub.repo}/resolve/{COMMIT}/"):
                    self._resolve(path.split(COMMIT + "/", 1)[1])
                elif path.startswith("/storage/"):
                    self._file(path.removeprefix("/storage/"))
                else:
                    self._send(404, b"{}")

            def _resolve(self, name):
                """Small files come directly, large ones by way of a redirect, as from the real hub."""
                if name.endswith(".safetensors"):
                    self._send(302, b"", Location=f"{hub.url}/storage/{name}")
                else:
                    self._file(name)

            def _send(self, code, body, **headers):
                self.send_response(code)
                for header, value in headers.items():
                    self.send_header(header, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _file(self, name):
                data = hub.files[name]
                hub.served.append(name)
                if name in hub.corrupt:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                start = 0
                if asked := self.headers.get("Range"):
                    hub.ranges.append(asked)
                    start = 0 if hub.ignore_ranges else int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.end_headers()
                self._body(data[start:])

            def _body(self, data):
                large = len(data) > 2**20
                cut = large and hub.cuts > 0
                hub.cuts -= cut
                end = len(data) // 2 if cut else len(data)
                for at in range(0, end, 2**18):
                    self.wfile.write(data[at : min(at + 2**18, end)])
                    if large and hub.pause:
                        time.sleep(hub.pause)
                if cut:
                    self.close_connection = True

        return Handler
