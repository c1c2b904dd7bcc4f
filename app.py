"""Starts the studio: `python app.py` and open the address that it prints."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def flags(words: list[str] | None = None) -> argparse.Namespace:
    """The command line's flags."""
    parser = argparse.ArgumentParser(description="Likeness, a video studio.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)")
    parser.add_argument("--port", type=port, default=None, help="port to listen on (default: the first free one from 7860)")
    parser.add_argument("--home", type=Path, default=None, help="folder for clips and downloaded models (default: the user's data folder)")
    parser.add_argument("--share", action="store_true", help="also open a public link through gradio's tunnel, without training")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser.parse_args(words)


def port(word: str) -> int:
    """A port number, 1..65535."""
    number = int(word)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def main() -> int:
    """Build, launch, wait. Returns the exit code."""
    chosen = flags()
    from pipelines.errors import UserError
    from studio.shell import build

    try:
        studio = build(chosen.home, trains=not chosen.share)
        address = studio.launch(server_name=chosen.host, server_port=chosen.port, inbrowser=chosen.open, share=chosen.share)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Likeness is open at {address}", flush=True)
    if chosen.share:
        print(studio.page.share_url or "No public link could be opened, so the studio is on this machine only.", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        studio.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
