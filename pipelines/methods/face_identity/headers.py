"""What the files of an adapter hold, by their headers alone: everything that is wrong with them is said before weights are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from pipelines.errors import UserError
from pipelines.methods.face_identity.modules import HEAD, STRIDE, Arm, FaceAdapter, ResamplerSizes, Sizes
from pipelines.methods.face_identity.names import PARTS, Name, Part, put_together, take_apart
from pipelines.models.folders import read_header

TYPES = ("F32", "F16", "BF16")


class Stored(NamedTuple):
    """A tensor in a file that was not read yet."""

    file: Path
    name: str
    shape: tuple[int, ...]


class Survey(NamedTuple):
    """What the files of an adapter hold, complete and in the right shapes.

    Attributes:
        sizes: of the adapter.
        tensors: names inside `FaceAdapter` -> where they are.
        folder: where the files lie, and the card.
    """

    sizes: Sizes
    tensors: dict[str, Stored]
    folder: Path


def look(path: Path) -> Survey:
    """What `path` holds, by the headers alone; raises UserError as `read_adapter` does."""
    files = _files(path)
    held = [(name, stored) for file in files for name, stored in _names(file)]
    arm = _arm(held)
    tensors, layouts = _entries(held, STRIDE[arm])
    _check_parts(path, tensors)
    sizes = _sizes({name: stored.shape for name, stored in tensors.items()}, arm)
    _check_complete(tensors, sizes, layouts)
    return Survey(sizes, tensors, files[0].parent)


def file_of(folder: Path, part: Part) -> Path:
    """Where a part lies in a folder as it was released."""
    return folder / f"{part}.safetensors"


def _files(path: Path) -> list[Path]:
    """The files of an adapter: of a folder, or one file and the resampler beside it."""
    released = [file_of(path, part) for part in PARTS]
    if path in [file_of(path.parent, part) for part in PARTS]:
        return _files(path.parent)  # one of several that belong together
    if path.is_dir():
        layers = any(file.is_file() for file in released[1:])
        files = [file for file in released if file.is_file()] if layers else sorted(path.glob("*.safetensors"))
        if not files:
            raise UserError(f"There are no safetensors files in {path.name}: choose the folder that the adapter was downloaded to.")
        return files
    if not path.is_file():
        raise UserError(f"There is no adapter called {path.name[:80]}: choose it again.")
    beside = file_of(path.parent, "resampler")
    parts = {name.part for name, _ in _names(path)}
    return [path, beside] if beside.is_file() and "ip_layers" in parts and "resampler" not in parts else [path]


def _names(file: Path) -> list[tuple[Name, Stored]]:
    """The tensors of one file; raises UserError for names or types that no adapter has."""
    found = []
    for text, facts in read_header(file).items():
        name, stored = take_apart(text), Stored(file, text, tuple(facts["shape"]))
        if name is None:
            raise _unexpected(stored)
        if facts["dtype"] not in TYPES:
            kind = str(facts["dtype"])[:20]
            raise UserError(f"{file.name} holds {text[:120]} as {kind}: choose a file in float32, float16 or bfloat16.")
        found.append((name, stored))
    return found


def _unexpected(stored: Stored) -> UserError:
    return UserError(f"{stored.file.name} holds {stored.name[:120]}, which no adapter of this kind has: choose the adapter's own files.")


def _arm(held: Iterable[tuple[Name, Stored]]) -> Arm:
    """Full where the ID-adapter has registers, or where more of its projections have a bias than have none."""
    ends = Counter(name.end.rpartition(".")[2] for name, _ in held if name.part == "ip_layers")
    return "lite" if ends and not ends["registers"] and 2 * ends["bias"] <= ends["weight"] else "full"


def _entries(held: Iterable[tuple[Name, Stored]], stride: int) -> tuple[dict[str, Stored], dict[Part, tuple[Path, str]]]:
    """Names inside the adapter -> tensors, and for each part a file and the layout of its names; raises UserError for more than one."""
    tensors: dict[str, Stored] = {}
    layouts: dict[Part, tuple[Path, str]] = {}
    for name, stored in held:
        entry, (_, layout) = name.entry(stride), layouts.setdefault(name.part, (stored.file, name.layout))
        if entry is None or entry in tensors or name.layout != layout:
            raise _unexpected(stored)
        tensors[entry] = stored
    return tensors, layouts


def _check_parts(path: Path, tensors: Iterable[str]) -> None:
    """Raise UserError for identity layers without a resampler, or the other way round."""
    parts = {name.partition(".")[0] for name in tensors}
    if not parts:
        raise UserError(f"{path.name} holds no weights: download the adapter again.")
    if "ip_layers" in parts and "resampler" not in parts:
        raise UserError(f"{path.name} has layers for an identity and no resampler: put resampler.safetensors beside them.")
    if "resampler" in parts and "ip_layers" not in parts:
        raise UserError(f"{path.name} has a resampler and no layers that use it: put ip_layers.safetensors beside it.")


def _check_complete(tensors: Mapping[str, Stored], sizes: Sizes, layouts: Mapping[Part, tuple[Path, str]]) -> None:
    """Raise UserError naming the first tensor that is missing, is too much or has another shape than `sizes` ask for."""
    with torch.device("meta"):
        expected = {name: tuple(value.shape) for name, value in FaceAdapter(sizes).state_dict().items()}
    for name in expected:
        if name not in tensors:
            file, layout = layouts[name.partition(".")[0]]
            raise UserError(f"{file.name} lacks {put_together(name, layout, sizes.stride)}: download the adapter again.")
    _check_same_arm(tensors, sizes)
    for name, stored in tensors.items():
        if name not in expected:
            raise _unexpected(stored)
        if stored.shape != expected[name]:
            raise UserError(
                f"{stored.file.name} holds {stored.name} in the shape {stored.shape} where {expected[name]} belongs: "
                "download the adapter again."
            )


def _check_same_arm(tensors: Mapping[str, Stored], sizes: Sizes) -> None:
    """Raise UserError if the resampler gives tokens that the layers do not take."""
    if sizes.resampler is None:
        return
    given = sizes.resampler.output
    taken = _most({name: stored.shape for name, stored in tensors.items()}, r"ip_layers\.\d+\.to_[kv]_ip\.weight", 1)
    if given != taken:
        other = "full" if sizes.arm == "lite" else "lite"
        raise UserError(
            f"The resampler gives tokens of {given} channels and the layers of the {sizes.arm} arm take {taken}, "
            f"so it is one of the {other} arm: put the resampler there that came with the layers."
        )


def _sizes(shapes: Mapping[str, tuple[int, ...]], arm: Arm) -> Sizes:
    """Read off the tensors; where they do not agree, as most of them say."""
    identities, references = (_count(shapes, rf"{part}\.(\d+)\..*") for part in ("ip_layers", "ref_layers"))
    if arm == "full" and identities and references:
        identities = references = max(identities, references)
    width = _most(shapes, r"ip_layers\.\d+\.to_[kv]_ip\.weight", 0) or _most(shapes, r"ref_layers\.\d+\.to_[kv]_ref\.weight", 0)
    return Sizes(
        arm=arm,
        width=width,
        ip_layers=identities,
        ref_layers=references,
        registers=_most(shapes, r"ip_layers\.\d+\.registers", 1),
        resampler=_resampler_sizes(shapes) if identities else None,
    )


def _resampler_sizes(shapes: Mapping[str, tuple[int, ...]]) -> ResamplerSizes:
    return ResamplerSizes(
        embedding=_most(shapes, r"resampler\.proj_in\.weight", 1),
        width=_most(shapes, r"resampler\.(?:proj_in\.bias|layers\..*\.(?:0\.norm[12]|1\.0)\.(?:weight|bias))", 0),
        depth=_count(shapes, r"resampler\.layers\.(\d{1,3})\..*"),
        heads=_most(shapes, r"resampler\.layers\..*\.0\.to_q\.weight", 0) // HEAD,
        queries=_most(shapes, r"resampler\.latents", 1),
        output=_most(shapes, r"resampler\.(?:proj_out|norm_out)\.(?:weight|bias)", 0),
    )


def _most(shapes: Mapping[str, tuple[int, ...]], pattern: str, axis: int) -> int:
    """The commonest length of this axis among tensors whose whole name matches; 0 if there are none."""
    lengths = Counter(shape[axis] for name, shape in shapes.items() if len(shape) > axis and re.fullmatch(pattern, name))
    return max(lengths, key=lambda length: lengths[length], default=0)


def _count(shapes: Iterable[str], pattern: str) -> int:
    """One more than the largest number in names that match."""
    return 1 + max((int(found[1]) for name in shapes if (found := re.fullmatch(pattern, name))), default=-1)
