"""Under which names files hold the tensors of an adapter: the released ones and two repackings. No torch here."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Part = Literal["resampler", "ip_layers", "ref_layers"]
PARTS: tuple[Part, ...] = ("resampler", "ip_layers", "ref_layers")

LAYOUTS: dict[Part, tuple[str, ...]] = {
    "resampler": ("", "resampler."),
    "ip_layers": ("{}.", "blocks.{}.cross_attn.ip_adapter.", "blocks.{}.cross_attn."),
    "ref_layers": ("{}.", "blocks.{}.self_attn.ref_adapter.", "blocks.{}.self_attn."),
}
"""Part -> what its names begin with, the released way first, which counts entries; the others count blocks."""

ENDS: dict[Part, str] = {
    "resampler": r"latents|(?:proj_in|proj_out|norm_out|layers)\..+",
    "ip_layers": r"to_[kv]_ip\.(?:weight|bias)|registers",
    "ref_layers": r"to_[kv]_ref\.(?:weight|bias)",
}
NUMBER = r"(?P<number>0|[1-9]\d{0,2})"


class Name(NamedTuple):
    """A tensor's name, taken apart.

    Attributes:
        layout: one of LAYOUTS[part].
        number: of the entry or the block; None in the resampler.
        end: what follows.
    """

    part: Part
    layout: str
    number: int | None
    end: str

    def entry(self, stride: int) -> str | None:
        """The name inside `FaceAdapter`, where entry n of the ID-adapter is of block `stride` * n; None if no entry is of this block."""
        if self.number is None:
            return f"{self.part}.{self.end}"
        step = stride if self.part == "ip_layers" and self.layout.startswith("blocks") else 1
        return None if self.number % step else f"{self.part}.{self.number // step}.{self.end}"


def take_apart(name: str) -> Name | None:
    """None for a name that no adapter has."""
    for part in PARTS:
        for layout in LAYOUTS[part]:
            if found := _pattern(part, layout).fullmatch(name):
                number = found.groupdict().get("number")
                return Name(part, layout, None if number is None else int(number), found["end"])
    return None


def put_together(entry: str, layout: str, stride: int) -> str:
    """The name in a file of this layout for one inside `FaceAdapter`."""
    part, _, rest = entry.partition(".")
    if part == "resampler":
        return layout + rest
    number, _, end = rest.partition(".")
    step = stride if part == "ip_layers" and layout.startswith("blocks") else 1
    return layout.format(int(number) * step) + end


def _pattern(part: Part, layout: str) -> re.Pattern[str]:
    return re.compile(re.escape(layout).replace(r"\{\}", NUMBER) + f"(?P<end>{ENDS[part]})", re.ASCII)  # compiled once by re itself
