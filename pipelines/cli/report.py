"""What a person (stderr) or a program (JSON lines on stdout) sees of a run's events."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from pipelines.events import Event, Preview, Progress, Result

LINE_EVERY = 5.0  # seconds between progress lines where a line cannot be redrawn


def human_bytes(count: float) -> str:
    """1234567890 -> "1.2 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def human_seconds(seconds: float) -> str:
    """75 -> "1 min 15 s"."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def progress_line(progress: Progress) -> str:
    """ "denoising 3/20, 12 s left" or "downloading 1.2 GB of 28.9 GB, 9 min 1 s left"."""
    line = progress.phase
    if progress.total and progress.unit == "bytes":
        line += f" {human_bytes(progress.step)} of {human_bytes(progress.total)}"
    elif progress.total:
        line += f" {progress.step}/{progress.total}"
    return line + (f", {human_seconds(progress.seconds_left)} left" if progress.seconds_left else "")


class Report:
    """Shows events as they come. `--json` turns them into lines on stdout; progress is for people, on stderr."""

    def __init__(self, as_json: bool, previews: Path | None = None, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.as_json, self.previews, self.quiet = as_json, previews, quiet
        self.stream = stream or sys.stderr
        self.redraws = self.stream.isatty()
        self._drawn = 0
        self._last: tuple[str, float] = ("", 0.0)

    def show(self, event: Event, **more: Any) -> None:
        """One event; `more` is added to its JSON."""
        if isinstance(event, Preview) and self.previews:
            more["file"] = str(save_preview(event, self.previews))
        if self.as_json:
            print(json.dumps(event_json(event) | more), flush=True)
        elif isinstance(event, Progress) and not self.quiet:
            self._progress(event)

    def say(self, text: str) -> None:
        """A line for the person."""
        if not self.quiet:
            self.end()
            print(text, file=self.stream, flush=True)

    def end(self) -> None:
        """Finish a line that is being redrawn."""
        if self._drawn:
            print(file=self.stream, flush=True)
            self._drawn = 0

    def _progress(self, progress: Progress) -> None:
        line = progress_line(progress)
        if self.redraws:
            print("\r" + line.ljust(self._drawn), end="", file=self.stream, flush=True)
            self._drawn = len(line)
            return
        phase, when = self._last
        if phase != progress.phase or time.monotonic() - when > LINE_EVERY:
            self._last = (progress.phase, time.monotonic())
            print(line, file=self.stream, flush=True)


def save_preview(preview: Preview, folder: Path) -> Path:
    """Pictures as (animated) PNG, everything else as npz; named after the picture and its step."""
    import numpy as np

    from pipelines.video import write_clip

    folder.mkdir(parents=True, exist_ok=True)
    name = f"{preview.name.replace(' ', '-').replace('/', '-')}-{preview.step:04d}"
    if preview.kind == "frames":
        return write_clip(folder / f"{name}.png", preview.array, fps=8)
    path = folder / f"{name}.npz"
    np.savez_compressed(path, preview.array)
    return path


def event_json(event: Event) -> dict[str, Any]:
    """An event as plain values; arrays by shape and type."""
    if isinstance(event, Progress):
        return {"event": "progress"} | vars(event)
    if isinstance(event, Preview):
        return {"event": "preview"} | vars(event) | {"array": _plain(event.array)}
    assert isinstance(event, Result)
    plain = {name: _plain(value) for name, value in vars(event).items() if name != "request"}
    return {"event": "result"} | plain | {"request": json.loads(event.request.to_json())}


def _plain(value: Any) -> Any:
    """Arrays become {shape, dtype}, numbers of numpy plain ones, everything else JSON as far as it goes."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return value.item() if value.shape == () else {"shape": list(value.shape), "dtype": str(value.dtype)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
