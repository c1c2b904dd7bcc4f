"""The face models that visitors can choose: those on this machine."""

from __future__ import annotations

from typing import Any

from pipelines.errors import UserError
from pipelines.faces.packs import FacePack, packs


def packs_here() -> tuple[FacePack, ...]:
    """Those that only measure likeness are not for choosing."""
    return tuple(pack for pack in packs() if pack.here and not pack.for_scoring)


def packs_elsewhere() -> tuple[FacePack, ...]:
    """Those that could be brought here."""
    return tuple(pack for pack in packs() if not pack.here and not pack.for_scoring)


def usable_pack(name: str) -> FacePack:
    """The face models of that name; raises UserError for those that are not here, or only measure."""
    found = next((pack for pack in packs_here() if pack.name == name), None)
    if found is None:
        raise UserError("These face models are not on this machine: choose others.")
    return found


def told() -> list[dict[str, Any]]:
    """The face models as the page reads them."""
    return [{name: getattr(one, name) for name in ("name", "title", "description", "licence")} for one in packs_here()]
