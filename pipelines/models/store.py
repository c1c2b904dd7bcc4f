"""The store: from a model's name to a loaded backbone. Finds or downloads files, checks them, places and caches models."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import NotAvailable, UserError
from pipelines.events import Event, Progress
from pipelines.models.cache import Key, ModelCache
from pipelines.models.folders import check_folder, folder_bytes, parameters
from pipelines.models.registry import ModelEntry, entry

if TYPE_CHECKING:
    from pipelines.models.placement import Placement

Loader = Callable[[Path, str, "Placement"], Any]  # folder, device, placement -> backbone
Listener = Callable[[Progress], None]


def data_home() -> Path:
    """Where downloads and outputs live: LIKENESS_HOME, else the user's data folder of the system."""
    if chosen := os.environ.get("LIKENESS_HOME"):
        return Path(chosen).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("likeness", appauthor=False))


@dataclass(frozen=True)
class Status:
    """A model on this machine: its folder (None: not here), bytes on disk, bytes of an unfinished download, loaded or not."""

    name: str
    folder: Path | None
    bytes: int
    partial_bytes: int
    loaded: bool

    @property
    def on_disk(self) -> bool:
        return self.folder is not None


class ModelStore:
    """Models by name, loaded once and shared. Safe to use from several threads.

    Args:
        loaders: family -> function that loads a folder onto a device.
        cache_bytes: bytes that loaded models may take per memory; None: 80 % of a card, half of main memory.
        home: where downloads go; None: see `data_home`.
        device, placement: used wherever a caller leaves them on "auto".
    """

    def __init__(
        self,
        loaders: Mapping[str, Loader],
        cache_bytes: int | None = None,
        home: Path | None = None,
        device: str = "auto",
        placement: str = "auto",
    ) -> None:
        self.home = Path(home) if home else data_home()
        self.device, self.placement = device, placement
        self._loaders = dict(loaders)
        self._cache_bytes = cache_bytes
        self._cache = ModelCache(self._budget)
        self._loading = threading.RLock()

    # --- files -------------------------------------------------------------------------------------------------

    def folder(self, model: ModelEntry) -> Path | None:
        """The model's folder if it is on this machine, complete or not checked yet; None otherwise."""
        folder = model.folder or self._download_folder(model)
        return folder if (folder / "model_index.json").is_file() else None

    def status(self, name: str) -> Status:
        """What of the model is here."""
        model = entry(name)
        folder = self.folder(model)
        loaded = any(key[0] == str(folder) for key in self._cache.loaded())
        partial = sum(folder_bytes(part) for part in self._partials(model))
        return Status(model.name, folder, folder_bytes(folder) if folder else 0, partial, loaded)

    def download(self, name: str) -> Iterator[Progress]:
        """Bring a hub model to this machine, going on where an earlier download stopped; closing the iterator cancels.

        Yields Progress in bytes; yields nothing if the model is here already. Raises UserError in one sentence.
        """
        from pipelines.models.download import download

        model = entry(name)
        if self.folder(model) is None:
            if model.repo is None:
                raise self._missing(model)
            yield from download(model, self._download_folder(model))

    def delete(self, name: str) -> int:
        """Remove a downloaded model and unfinished downloads of it; returns the bytes freed. Raises UserError if it is in use."""
        model = entry(name)
        if model.repo is None:
            raise UserError(f"{model.title} was not downloaded, so it stays: only downloaded models can be deleted.")
        folder = self._download_folder(model)
        self._evict_folder(folder, model.title)
        gone = [path for path in (folder, *self._partials(model)) if path.is_dir()]
        freed = sum(folder_bytes(path) for path in gone)
        for path in gone:
            shutil.rmtree(path)
        return freed

    def _download_folder(self, model: ModelEntry) -> Path:
        return self.home / "models" / model.name

    def _partials(self, model: ModelEntry) -> list[Path]:
        folder = self._download_folder(model)
        return sorted(folder.parent.glob(f"{folder.name}.*.partial")) if model.repo else []

    def _missing(self, model: ModelEntry) -> NotAvailable:
        if model.repo is None:
            return NotAvailable(f"The files of {model.title} are missing from {model.folder}: get a complete copy of the folder.")
        command = f"python -m pipelines models download {model.name}"
        return NotAvailable(f"{model.title} is not on this machine yet: download it first ({model.bytes / 1e9:.1f} GB) with `{command}`.")

    # --- loaded models -----------------------------------------------------------------------------------------

    def get(self, name: str, device: str = "auto", placement: str = "auto", progress: Listener | None = None) -> Any:
        """The backbone of model `name`, loaded if need be. Not protected from eviction: prefer `use`.

        Raises UserError in one sentence: unknown, not downloaded, damaged, no backbone for it, or out of memory.
        """
        return self._obtain(name, device, placement, progress, use=False)[1]

    @contextmanager
    def use(self, name: str, device: str = "auto", placement: str = "auto", progress: Listener | None = None) -> Iterator[Any]:
        """The same for a `with` block, during which the model is never evicted. Running out of memory in it is a UserError."""
        from pipelines.models.placement import is_out_of_memory, out_of_memory

        with self._pinned(name, device, placement, progress) as (_, backbone):
            try:
                yield backbone
            except Exception as error:
                if isinstance(error, UserError) or not is_out_of_memory(error):
                    raise
                raise out_of_memory(entry(name).title, error) from error

    def attempt(self, name: str, work: Callable[[Any], Iterator[Event]], device: str = "auto", placement: str = "auto") -> Iterator[Event]:
        """The events of `work(backbone)`. Out of memory: evict, run it once more in the next placement (the same if others
        made room and there is no next), else UserError.
        """
        from pipelines.models.placement import is_out_of_memory, next_placement, out_of_memory

        title, failed = entry(name).title, None
        if not self.status(name).loaded:
            yield Progress("loading the model")
        for _ in range(2):
            try:
                with self._pinned(name, device, placement, None) as (key, backbone):
                    yield from work(backbone)
                return
            except Exception as error:
                if isinstance(error, UserError) or not is_out_of_memory(error):
                    raise
                failed = out_of_memory(title, error)  # keeps no traceback, and so none of the tensors in its frames
            del backbone
            evicted, _ = self._cache.evict(lambda cached: True)
            following = next_placement(key[2])
            if following is None and evicted <= 1:  # only this model was loaded: nothing would be different
                break
            device, placement = key[1], following or key[2]
            yield Progress("out of memory, trying again with less")
        raise failed

    def evict(self, name: str) -> None:
        """Free the memory of model `name`; raises UserError while it is in use."""
        model = entry(name)
        self._evict_folder(model.folder or self._download_folder(model), model.title)

    def _evict_folder(self, folder: Path, title: str) -> None:
        _, in_use = self._cache.evict(lambda key: key[0] == str(folder))
        if in_use:
            raise UserError(f"{title} is in use: wait for the running job, or cancel it.")

    @contextmanager
    def _pinned(self, name: str, device: str, placement: str, progress: Listener | None) -> Iterator[tuple[Key, Any]]:
        key, backbone = self._obtain(name, device, placement, progress, use=True)
        try:
            yield key, backbone
        finally:
            self._cache.release(key)

    def _obtain(self, name: str, device: str, placement: str, progress: Listener | None, use: bool) -> tuple[Key, Any]:
        from pipelines.models.placement import check_placement, resolve_device

        model, loader, folder = self._ready(name)
        device = resolve_device(self.device if device == "auto" else device)
        placement = self.placement if placement == "auto" else placement
        if placement != "auto":
            check_placement(device, placement)

        def matches(key: Key) -> bool:
            return key[:2] == (str(folder), device) and placement in ("auto", key[2])

        if found := self._cache.find(matches, use):
            return found
        with self._loading:  # one at a time: two loads at once would both count the same free memory
            if found := self._cache.find(matches, use):
                return found
            if progress:
                progress(Progress("loading the model"))
            return self._load(model, loader, folder, device, placement, use)

    def _ready(self, name: str) -> tuple[ModelEntry, Loader, Path]:
        """The model, who loads it, and its folder; UserError for whatever is missing."""
        model = entry(name)
        loader = self._loaders.get(model.family)
        if loader is None:
            raise NotAvailable(f"{model.title} can be downloaded but not run yet in this version: choose another model.")
        folder = self.folder(model)
        if folder is None:
            raise self._missing(model)
        return model, loader, folder

    def _load(self, model: ModelEntry, loader: Loader, folder: Path, device: str, placement: str, use: bool) -> tuple[Key, Any]:
        """Check, place, load; when memory runs out, evict everything idle and try once more in the next placement."""
        from pipelines.models.placement import check_fits, choose, next_placement, out_of_memory

        check_folder(folder)
        count = parameters(folder)
        if placement == "auto":
            placement = choose(device, count, self._reachable(device))
        check_fits(model.title, placement, count, self._reachable(device))
        try:
            return self._load_once(model, loader, (str(folder), device, placement), use)
        except MemoryError:
            self._cache.evict(lambda key: True)
        try:
            return self._load_once(model, loader, (str(folder), device, next_placement(placement) or placement), use)
        except MemoryError as error:
            raise out_of_memory(model.title, error) from error

    def _load_once(self, model: ModelEntry, loader: Loader, key: Key, use: bool) -> tuple[Key, Any]:
        """Load into the cache; MemoryError when memory runs out, UserError for files that do not make a model."""
        from pipelines.models.placement import is_out_of_memory, weight_bytes

        folder, device, placement = Path(key[0]), key[1], key[2]
        memory = device if placement == "gpu" else "cpu"
        self._cache.make_room(memory, weight_bytes(folder, placement))
        try:
            backbone = loader(folder, device, placement)
        except UserError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error)) from None  # without the traceback, whose frames hold half a model
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            raise UserError(f"{model.title} cannot be loaded from {folder}, get the model again ({reason}).") from error
        self._cache.put(key, backbone, memory, resident_bytes(backbone) or weight_bytes(folder, placement), use)
        return key, backbone

    def _reachable(self, device: str):
        """Free memory, counting idle models as free because they can be evicted."""
        from pipelines.models.placement import Memory, free_memory

        free = free_memory(device)
        return Memory(free.card + self._cache.bytes(device, idle_only=True), free.main + self._cache.bytes("cpu", idle_only=True))

    def _budget(self, memory: str) -> int:
        from pipelines.models.placement import total_memory

        if self._cache_bytes is not None:
            return self._cache_bytes
        return int(total_memory(memory) * (0.5 if memory == "cpu" else 0.8))


def resident_bytes(backbone: Any) -> int:
    """Bytes of the weights and buffers of a backbone's pipeline; 0 for one that has none."""
    parts = getattr(getattr(backbone, "pipeline", None), "components", {}).values()
    modules = [part for part in parts if hasattr(part, "parameters") and hasattr(part, "buffers")]
    return sum(tensor.numel() * tensor.element_size() for part in modules for tensor in (*part.parameters(), *part.buffers()))
