"""An unfinished board on disk, so that one that was stopped or killed goes on where it was. Tensors and numbers only."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipelines.methods.storyboard.refinement import Partners
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.storyboard.seeds import BOARD
from pipelines.methods.storyboard.takes import Branch, Take

if TYPE_CHECKING:
    from pipelines.methods.storyboard.board import Finished
    from pipelines.methods.storyboard.company import Fixed

STATE = "board.safetensors"
EVERY = 20.0
"""Seconds of work that may be lost."""


class Kept:
    """The state of one board in `folder`; None keeps nothing.

    Args:
        request: as it is drawn; a state that was kept for another is not used.
    """

    def __init__(self, folder: Path | None, request: StoryboardRequest) -> None:
        self.folder, self._last = folder, 0.0
        plain = request.model_dump(mode="json", exclude={"folder", "together"})
        self.mark = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def save(self, takes: Sequence[Take], done: int, second: bool, fixed: Fixed | None, *, now: bool = False) -> None:
        """Keep `takes` after `done` steps in company, unless that was done a moment ago.

        Args:
            second: whether this is the last of three passes, with `fixed` partners.
            now: in any case.
        """
        if self.folder is None or not (now or time.monotonic() - self._last > EVERY):
            return
        state = {"done": done, "second": second, "takes": [_take_state(take) for take in takes], "fixed": _fixed_state(fixed)}
        self._write(STATE, state)
        self._last = time.monotonic()

    def finish(self, shot: Finished) -> None:
        """Keep a finished shot."""
        if self.folder is not None:
            self._write(f"shot-{shot.number}.safetensors", {name: torch.from_numpy(getattr(shot, name)) for name in ("frames", "alone")})

    def finished(self, number: int) -> Finished | None:
        """The shot, if it was finished before."""
        from pipelines.methods.storyboard.board import Finished

        state = self._read(f"shot-{number}.safetensors")
        return state and Finished(number, *(state[name].numpy() for name in ("frames", "alone")))

    def restore(self, takes: Sequence[Take]) -> tuple[int, bool, Fixed | None]:
        """Bring fresh `takes` to where they were kept: steps done in company, whether in the second pass, and its partners."""
        state = self._read(STATE)
        if state is None or [part["number"] for part in state["takes"]] != [take.number for take in takes]:
            return 0, False, None
        for take, part in zip(takes, state["takes"], strict=True):
            _restore_take(take, part)
        return state["done"], state["second"], _fixed_of(state["fixed"])

    def clear(self) -> None:
        """Forget the board: it is done."""
        for file in (*self.folder.glob("*.safetensors"), self.folder / BOARD) if self.folder else ():
            file.unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or holds something else
            if self.folder:
                self.folder.rmdir()

    def _write(self, name: str, state: dict[str, Any]) -> None:
        tensors: dict[str, Tensor] = {}
        plan = json.dumps(_packed(state, tensors))
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.{os.getpid()}.part"
        save_file(tensors, partial, {"board": self.mark, "plan": plan})
        os.replace(partial, self.folder / name)

    def _read(self, name: str) -> dict[str, Any] | None:
        """None for what is not there, damaged, or another board's."""
        if self.folder is None or not (self.folder / name).is_file():
            return None
        try:
            with safe_open(self.folder / name, "pt") as file:
                about = file.metadata() or {}
                if about.get("board") != self.mark:
                    return None
                return _unpacked(json.loads(about["plan"]), {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError):
            return None


def _take_state(take: Take) -> dict[str, Any]:
    branches = {name: branch and {"latents": branch.latents, "walk": branch.schedule.state()} for name, branch in _branches(take).items()}
    return branches | {name: getattr(take, name) for name in ("number", "estimate", "mask", "attention")}


def _restore_take(take: Take, state: dict[str, Any]) -> None:
    device = take.alone.latents.device
    if state["ours"]:
        take.ours = take.alone.copy()
    for name, branch in _branches(take).items():
        if branch:
            branch.latents = state[name]["latents"].to(device)
            branch.schedule.go_on(state[name]["walk"])
    for name in ("estimate", "mask", "attention"):
        value = state[name]
        setattr(take, name, value if value is None else value.to(device))


def _branches(take: Take) -> dict[str, Branch | None]:
    return {"alone": take.alone, "ours": take.ours}


def _fixed_state(fixed: Fixed | None) -> list[Any] | None:
    return fixed and [[number, list(grid), part.index, part.near] for (number, grid), part in fixed.items()]


def _fixed_of(state: list[Any] | None) -> Fixed | None:
    return state and {(number, tuple(grid)): Partners(index, near) for number, grid, index, near in state}


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` with its tensors, which are put into `tensors`, replaced by their names there."""
    if isinstance(value, Tensor):
        name = f"{len(tensors)}"
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"entries": {key: _packed(part, tensors) for key, part in value.items()}}
    return [_packed(part, tensors) for part in value] if isinstance(value, list | tuple) else value


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `_packed`."""
    if isinstance(value, dict):
        return tensors[value["tensor"]] if "tensor" in value else {key: _unpacked(part, tensors) for key, part in value["entries"].items()}
    return [_unpacked(part, tensors) for part in value] if isinstance(value, list) else value
