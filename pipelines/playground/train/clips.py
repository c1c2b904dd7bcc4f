"""Rendered clips of the training seeds, cached on disk in chunks so that an interrupted rendering goes on where it was."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, WORLD, sample_scene, still

CHUNK = 32


class WorldClips:
    """`count` clips of the training split and where their subjects are, as uint8 arrays, memory-mapped.

    Args:
        cache: folder for the rendered chunks.
        count: number of clips, rounded up to whole chunks.
        shape: (frames, height, width); one frame means scenes at rest.
        first: the seed of clip 0, so that several sets show different scenes.
    """

    def __init__(self, cache: Path, count: int, shape: tuple[int, int, int], first: int = 0) -> None:
        self.shape, self.first = shape, first
        self.folder = cache / f"world{WORLD}" / ("x".join(map(str, shape)) + f"-from-{first}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.chunks = -(-count // CHUNK)
        self._open: dict[Path, np.ndarray] = {}

    def __len__(self) -> int:
        return self.chunks * CHUNK

    def render_missing(self, workers: int = os.cpu_count() or 1) -> None:
        """Render what the cache lacks, several chunks at a time."""
        missing = [index for index in range(self.chunks) if not self._file(index).exists() or not self._file(index, "masks").exists()]
        if not missing:
            return
        jobs = [(self.seed(index * CHUNK), self.shape, self._file(index), self._file(index, "masks")) for index in missing]
        with ProcessPoolExecutor(max(1, workers)) as pool:
            for done, _ in enumerate(pool.map(_render_chunk, jobs), 1):
                print(f"rendering {self.folder.name}: {done * CHUNK}/{len(missing) * CHUNK} clips", flush=True)

    def seed(self, index: int) -> int:
        """The scene seed of clip `index`."""
        return TRAIN_SEEDS[self.first + index]

    def frames(self, index: int) -> np.ndarray:
        """(T, H, W, 3) uint8 frames of clip `index`."""
        return self._read(index)

    def covers(self, index: int) -> np.ndarray:
        """(T, H, W) uint8 coverage of clip `index` by its subjects, 0..255."""
        return self._read(index, "masks")

    def _read(self, index: int, what: str = "frames") -> np.ndarray:
        chunk, place = divmod(index, CHUNK)
        file = self._file(chunk, what)
        if file not in self._open:
            self._open[file] = np.load(file, mmap_mode="r")
        return self._open[file][place]

    def _file(self, chunk: int, what: str = "frames") -> Path:
        return self.folder / f"{chunk:05d}{'' if what == 'frames' else '.' + what}.npy"


def open_sets(sizes: str, frames: int, cache: Path, first: int = 0) -> list[WorldClips]:
    """The training clips of `sizes`, such as "96x96:1024,64x96:256" (height x width : clips), rendered as far as missing.

    Each set shows scenes of its own: the seeds begin at `first` and go on where those of the set before end.

    Raises:
        ValueError: if `sizes` cannot be read.
    """
    sets = []
    for part in sizes.split(","):
        size, count = part.split(":")
        height, width = (int(side) for side in size.split("x"))
        sets.append(WorldClips(cache, int(count), (frames, height, width), first))
        first += len(sets[-1])
    for clips in sets:
        clips.render_missing()
    return sets


def _render_chunk(job: tuple[int, tuple[int, int, int], Path, Path]) -> None:
    first, (frames, height, width), *files = job
    scenes = [sample_scene(first + place) for place in range(CHUNK)]
    if frames == 1:
        scenes = [still(scene) for scene in scenes]
    shown = [render(scene, frames, height, width) for scene in scenes]
    covers = [np.round(one.masks.max(0) * 255).astype(np.uint8) for one in shown]
    for file, values in zip(files, ([one.frames for one in shown], covers), strict=True):
        partial = file.with_suffix(f".{os.getpid()}.tmp.npy")
        np.save(partial, np.stack(values))
        os.replace(partial, file)
