"""What a job has shown, step by step: all its previews by name, and the one file that they leave in the job's folder.

Previews are not left behind as files, with this one exception: the record is part of the job's result, like the clip. It lets
the steps be looked at again, and it is deleted with the job.
"""

from __future__ import annotations

import io
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np

from pipelines.errors import UserError
from pipelines.events import Preview, PreviewKind
from studio.inspect import enlarge
from studio.jobs.files import write_atomically
from studio.jobs.shown import LOST, NO_SUCH, Named

LARGEST = 512  # pixels of the longer side of a recorded frame: what a screen shows of it, whatever the size of the clip
_STORED = {
    "frames": (np.uint8, 4),
    "mask": (np.uint8, 3),
    "map": (np.uint8, 3),
    "flow": (np.float16, 4),
    "curve": (np.float32, 1),
    "index": (np.uint8, 1),
}
"""Type and number of dimensions of what is kept."""
_VERSION = 1
log = logging.getLogger("likeness.jobs")


class Record:
    """The previews of one job in memory, small. A later one of the same name and step takes the earlier one's place.

    Attributes:
        bytes: what the arrays hold.
    """

    final = False

    def __init__(self) -> None:
        self.bytes = 0
        self._kinds: dict[str, PreviewKind] = {}
        self._arrays: dict[str, dict[int, np.ndarray]] = {}

    @property
    def names(self) -> list[Named]:
        return [_named(name, kind, self._arrays[name]) for name, kind in self._kinds.items()]

    def preview(self, name: str, step: int) -> Preview:
        if step not in self._arrays.get(name, {}):
            raise UserError(NO_SUCH)
        return unpack(self._kinds[name], name, step, self._arrays[name][step])

    def add(self, preview: Preview, array: np.ndarray) -> None:
        """Keep a preview whose `array` has been packed."""
        self._kinds[preview.name] = preview.kind
        steps, step = self._arrays.setdefault(preview.name, {}), int(preview.step)
        self.bytes += array.nbytes - (steps[step].nbytes if step in steps else 0)
        steps[step] = array
        if preview.kind == "curve":
            self._outgrow(preview.name, step)

    def _outgrow(self, name: str, step: int) -> None:
        """Forget the curve before this one if this one goes on from it: a training shows its whole course again and again."""
        steps = self._arrays[name]
        last = max((one for one in steps if one < step), default=None)
        if last is None or len(steps[last]) >= len(steps[step]):
            return
        if np.array_equal(steps[last], steps[step][: len(steps[last])], equal_nan=True):
            self.remove(name, last)

    def remove(self, name: str, step: int) -> None:
        """Forget one picture."""
        self.bytes -= self._arrays[name].pop(step).nbytes
        if not self._arrays[name]:
            del self._arrays[name], self._kinds[name]

    def thin(self) -> bool:
        """Forget the step whose neighbours are closest, the oldest of such; False if each name has its first and last only.

        So the oldest steps thin out first, and what is left is spread evenly.
        """
        inner = {name: sorted(steps)[1:-1] for name, steps in self._arrays.items()}
        every = sorted({step for steps in self._arrays.values() for step in steps})
        candidates = set().union(*inner.values())
        gaps = {step: after - before for before, step, after in zip(every, every[1:], every[2:], strict=False) if step in candidates}
        if not gaps:
            return False
        victim = min(gaps, key=lambda step: (gaps[step], step))
        for name, steps in inner.items():
            if victim in steps:
                self.remove(name, victim)
        return True

    def snapshot(self) -> Record:
        """The same arrays in a record of its own, to be read while this one goes on."""
        copy = Record()
        copy.bytes, copy._kinds = self.bytes, dict(self._kinds)
        copy._arrays = {name: dict(steps) for name, steps in self._arrays.items()}
        return copy

    def write(self, path: Path) -> None:
        """Write everything as one compressed npz, there whole or not at all; raises OSError if the disk refuses."""
        index = {"version": _VERSION, "names": [asdict(named) for named in self.names]}
        members = {"index": np.frombuffer(json.dumps(index).encode(), np.uint8)}
        for place, steps in enumerate(self._arrays.values()):
            members |= {_member(place, step): array for step, array in steps.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **members)
        write_atomically(path, buffer.getvalue())


class RecordFile:
    """A record on disk; pictures are read one at a time.

    Raises:
        UserError: there is none, or it cannot be read.
    """

    final = True

    def __init__(self, path: Path) -> None:
        self._path = path
        stored = self._read("index", "index")
        try:
            index = json.loads(stored.tobytes())
            if index["version"] != _VERSION:
                raise ValueError("it was written by another version")
            self.names = [_from_index(**row) for row in index["names"]]
        except (ValueError, KeyError, TypeError) as error:
            raise _lost(path, error) from error

    def preview(self, name: str, step: int) -> Preview:
        for place, named in enumerate(self.names):
            if named.name == name and step in named.steps:
                return unpack(named.kind, name, step, self._read(_member(place, step), named.kind))
        raise UserError(NO_SUCH)

    def _read(self, member: str, kind: str) -> np.ndarray:
        try:
            with np.load(self._path, allow_pickle=False) as file:
                array = file[member]
            if array.dtype != _STORED[kind][0] or not _fits(array, kind):
                raise ValueError(f"{member} is no {kind}: {array.dtype} {array.shape}")
            return array
        except FileNotFoundError as error:
            raise UserError(LOST) from error
        except Exception as error:  # numpy and zipfile raise nearly anything over a damaged file
            raise _lost(self._path, error) from error


def pack(preview: Preview) -> np.ndarray:
    """A copy of a preview's array as it is kept: frames of at most `LARGEST` pixels, masks and maps in 1/255, flows in half precision.

    Raises:
        ValueError: the array is not what the kind says.
    """
    array = np.asarray(preview.array)
    if preview.kind not in get_args(PreviewKind) or not _fits(array, preview.kind):
        raise ValueError(f"{preview.name} is no {preview.kind}: {array.shape}")
    if preview.kind == "frames" and max(array.shape[1:3]) > LARGEST:
        return enlarge(array.astype(np.uint8), LARGEST)
    if preview.kind in ("mask", "map"):
        array = np.clip(np.nan_to_num(array.astype(np.float32)), 0, 1) * 255
        return array.round().astype(np.uint8)
    with np.errstate(over="ignore"):
        return array.astype(_STORED[preview.kind][0])


def unpack(kind: PreviewKind, name: str, step: int, array: np.ndarray) -> Preview:
    """The inverse of `pack`, up to what it rounded."""
    if kind in ("mask", "map"):
        array = array.astype(np.float32) / 255
    return Preview(kind, name, step, array.astype(np.float32) if kind == "flow" else array)


def _fits(array: np.ndarray, kind: str) -> bool:
    """Whether an array has the shape that its kind has."""
    last = {"frames": 3, "flow": 2}.get(kind)
    return array.ndim == _STORED[kind][1] and array.size > 0 and last in (None, array.shape[-1])


def _named(name: str, kind: PreviewKind, arrays: dict[int, np.ndarray]) -> Named:
    newest = arrays[max(arrays)]
    frames, height, width = (1, 1, len(newest)) if kind == "curve" else newest.shape[:3]
    return Named(name, kind, tuple(sorted(arrays)), frames, height, width)


def _from_index(name: str, kind: str, steps: list[int], **size: int) -> Named:
    """A row of a file's index; raises TypeError or ValueError for what is none."""
    if kind not in get_args(PreviewKind) or not isinstance(name, str) or not steps:
        raise ValueError(f"no names and steps: {name!r}")
    return Named(name, kind, tuple(map(int, steps)), **{key: int(value) for key, value in size.items()})


def _member(place: int, step: int) -> str:
    return f"{place}.{step}"


def _lost(path: Path, error: Exception) -> UserError:
    log.warning("the steps of job %s… cannot be read: %s", path.parent.name[:6], error)
    return UserError(LOST)
