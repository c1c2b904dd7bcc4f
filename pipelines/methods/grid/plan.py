"""Before drawing a grid: checks, the prompt, sizes and cost. No torch here."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.methods.generate import plan as generation
from pipelines.methods.generate.plan import Estimate, Plan, snap_frames
from pipelines.methods.grid.adapters import known
from pipelines.methods.grid.layout import Layout, snap_cell
from pipelines.methods.grid.names import FAMILY, OTHER_FAMILY
from pipelines.methods.grid.prompt import Clause, GridPrompt, Role, parse
from pipelines.methods.grid.request import GridRequest
from pipelines.models.registry import ModelEntry


def check(request: GridRequest) -> None:
    """Raise UserError for a request that cannot be run however it is snapped."""
    layout = Layout.read(request.layout)
    if (more := len(request.cells) - layout.count) > 0:
        raise UserError(f"A grid of {layout} has {layout.count} cells: leave out {more}, or choose a larger one.")
    full = given(request)
    if len(full) == layout.count:
        raise UserError("Every cell holds a clip, so there is nothing to draw: take one out and say what should be there.")
    if request.mode == "compose" and len(full) not in (0, 2):
        raise UserError(f"A composition is made of two clips, and there are {len(full)}: put clips into two cells.")
    prompt = prompt_of(request)
    wordless = [number for number in missing(request) if not (prompt.clauses[number].text or prompt.shared)]
    if len(wordless) == layout.count:
        raise UserError("The grid is empty: put a clip into a cell and write what the others should show.")
    if wordless and request.mode == "edit":
        raise UserError(f"The cell {layout.names[wordless[0]]} is empty: write what it should show, or put a clip there.")
    if request.strength and not request.adapter.strip():
        raise UserError("No adapter is chosen: choose one that is made for the model.")


def given(request: GridRequest) -> tuple[int, ...]:
    """Numbers of the cells that hold a clip."""
    return tuple(number for number, cell in enumerate(request.cells) if cell.clip.strip())


def missing(request: GridRequest) -> tuple[int, ...]:
    """Numbers of the cells that are drawn."""
    return tuple(number for number in range(Layout.read(request.layout).count) if number not in given(request))


def composed(request: GridRequest) -> dict[int, tuple[int, int]]:
    """Output cell -> the two that it is made of, in a composition: those with clips, or the first two."""
    if request.mode != "compose":
        return {}
    sources = given(request) or (0, 1)
    return {number: sources for number in range(Layout.read(request.layout).count) if number not in sources}


def prompt_of(request: GridRequest) -> GridPrompt:
    """The prompt that is read: as it was written, else built from the cells. Raises UserError for one that cannot be."""
    layout = Layout.read(request.layout)
    if request.written.strip():
        prompt = parse(request.written)
        if prompt.layout != layout:
            raise UserError(f"The prompt speaks of a grid of {prompt.layout} and the layout is {layout}: choose the same for both.")
        return prompt
    return GridPrompt(layout, request.prompt, tuple(_clause(request, number) for number in range(layout.count)))


def _clause(request: GridRequest, number: int) -> Clause:
    cell, outputs = request.cell(number), composed(request)
    role: Role = ("compositional result" if number in outputs else "original input") if outputs else ""
    return Clause(cell.text, cell.identity or request.identity, cell.motion or request.motion, role)


def plan(request: GridRequest, entry: ModelEntry) -> Plan:
    """Sizes such that cells lie on the lattice of the model's tokens, the prompt that is read, and what will have no effect.

    Raises UserError for a model of another family and for another model's adapter.
    """
    if entry.family != FAMILY:
        raise UserError(OTHER_FAMILY)
    adapter = known(request.adapter)
    if adapter and request.strength and entry.name != adapter.base:
        raise UserError(f"{adapter.title} is made for {adapter.base}, not for {entry.title}: choose that model, or another adapter.")
    sizes = {"width": columns_wide(request, entry), "height": rows_high(request, entry), "frames": snap_frames(request.frames, entry)}
    planned = request.model_copy(update=sizes)
    return Plan(planned, (*_changes(request, planned, entry), *_notes(planned)))


def columns_wide(request: GridRequest, entry: ModelEntry) -> int:
    """Width of the grid in pixels whose columns lie on the lattice."""
    columns = Layout.read(request.layout).columns
    return columns * snap_cell(request.width, columns, lattice(entry), entry.min_size, entry.max_size)


def rows_high(request: GridRequest, entry: ModelEntry) -> int:
    """Height of the grid in pixels whose rows lie on the lattice."""
    rows = Layout.read(request.layout).rows
    return rows * snap_cell(request.height, rows, lattice(entry), entry.min_size, entry.max_size)


def lattice(entry: ModelEntry) -> int:
    """Pixels of a side that one token covers: VAE x patch."""
    return cost.shape_of(entry).token


def _changes(asked: GridRequest, planned: GridRequest, entry: ModelEntry) -> Iterator[str]:
    layout, step = Layout.read(asked.layout), lattice(entry)
    for name, parts in (("width", layout.columns), ("height", layout.rows)):
        before, now = getattr(asked, name), getattr(planned, name)
        if before != now:
            yield f"{name.capitalize()} {before} px became {now} px, so that each cell has {now // parts} px, a multiple of {step} px."
    if asked.frames != planned.frames:
        yield f"{asked.frames} frames became {planned.frames}, because {entry.title} draws {entry.frame_step}k + 1 frames."


def _notes(request: GridRequest) -> Iterator[str]:
    if not request.strength:
        yield "The adapter has no effect, because its strength is 0."
    if request.guidance <= 1 and request.negative_prompt.strip():
        yield "The negative prompt has no effect, because guidance is switched off at 1."
    if request.written.strip() and any(request.cell(number).text.strip() for number in missing(request)):
        yield "The words of the cells have no effect, because the whole prompt was written."


def estimate(request: GridRequest, entry: ModelEntry, on_disk: bool) -> Estimate:
    """That of plain generation of a clip of the grid's size."""
    return generation.estimate(request, entry, on_disk)
