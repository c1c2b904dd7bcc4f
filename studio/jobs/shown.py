"""What can be seen of a job's steps, as the page asks for it: which pictures there are, and what went where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from pipelines.errors import UserError
from pipelines.events import Preview, PreviewKind

LOST = "The steps of this clip are no longer kept."
NO_SUCH = "There is no such picture among the steps of this clip."
SOURCE = "source"  # frames of the clip whose motion was taken over
FINISHED = "finished"  # the clip itself, at the times of the previews' frames
MOST_POINTS = 400  # of a curve that a page draws
TO_REFERENCE, FROM_REFERENCE, TRUSTED = "flow to the reference", "flow from the reference", "injection mask"


@dataclass(frozen=True)
class Named:
    """The pictures of one name.

    Attributes:
        name, kind: as in `Preview`.
        steps: those that are kept, ascending.
        frames, height, width: of the newest; a curve is one frame of its number of values by one.
    """

    name: str
    kind: PreviewKind
    steps: tuple[int, ...]
    frames: int
    height: int
    width: int


class Shown(Protocol):
    """What can be looked at: a running job's record or the file of an ended one.

    Attributes:
        names: in the order in which they first appeared.
        final: nothing will be added or replaced.
    """

    names: list[Named]
    final: bool

    def preview(self, name: str, step: int) -> Preview:
        """One picture; raises UserError if there is none or it cannot be read."""


def index_of(names: Iterable[Named]) -> dict[str, Any]:
    """What the page needs to know before it asks for pictures.

    Returns:
        names: per name {name, kind, steps, frames, height, width}; grid: [T', h, w] of the tokens that were matched, or None;
        matched: steps of which `matches_of` knows something; finished: the name of the clip's own frames, or None.
    """
    found = {named.name: named for named in names}
    flows = [found[name] for name in (TO_REFERENCE, FROM_REFERENCE) if name in found]
    matched = sorted(set(flows[0].steps) & set(flows[1].steps)) if len(flows) == 2 else []
    return {
        "names": [asdict(named) for named in found.values()],
        "grid": [flows[0].frames, flows[0].height, flows[0].width] if flows else None,
        "matched": matched,
        "finished": FINISHED if FINISHED in found else None,
    }


def matches_of(shown: Shown, step: int) -> dict[str, Any]:
    """Where everything went at a step, as lists on the token grid (T', h, w); raises UserError if nothing was matched then.

    Returns:
        to_reference: for each token of generated frame t, the displacement [x, y] to its partner in the reference, in tokens.
        from_reference: for each token of the reference, the displacement to its partner in generated frame t.
        trusted: 1 where the injection mask takes a generated token's match, 0 where not; None if there is no such mask.
            A displacement that is not known is [None, None].
    """
    there, back = (shown.preview(name, step).array for name in (TO_REFERENCE, FROM_REFERENCE))
    if there.shape != back.shape:
        raise UserError(LOST)
    try:
        mask = shown.preview(TRUSTED, step).array
    except UserError:
        mask = None
    trusted = (mask >= 0.5).astype(int).tolist() if mask is not None and mask.shape == there.shape[:3] else None
    return {"step": step, "grid": [*there.shape[:3]], "to_reference": _lists(there), "from_reference": _lists(back), "trusted": trusted}


def curves_of(shown: Shown) -> dict[str, list[float | None]]:
    """Name -> values of each curve as it is now, None where there is none; of a long one the means of `MOST_POINTS` stretches."""
    newest = {named.name: shown.preview(named.name, named.steps[-1]).array for named in shown.names if named.kind == "curve"}
    return {name: _points(values) for name, values in newest.items()}


def _points(values: np.ndarray) -> list[float | None]:
    stretches = np.array_split(values.astype(np.float64), min(len(values), MOST_POINTS))
    means = (float(np.mean(stretch)) for stretch in stretches)
    return [float(f"{mean:.5g}") if np.isfinite(mean) else None for mean in means]


def _lists(flow: np.ndarray) -> list:
    """Nested lists for JSON: whole numbers where all are, None for what is not finite."""
    finite = np.isfinite(flow)
    if not finite.all():
        return np.where(finite, np.round(flow.astype(np.float64), 2), None).tolist()
    whole = np.rint(flow)
    return (whole.astype(int) if (whole == flow).all() else np.round(flow.astype(np.float64), 2)).tolist()
