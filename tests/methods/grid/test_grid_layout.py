"""Layouts: cells are cut and put together again without a trace, in pixels, latents and tokens alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.errors import UserError
from pipelines.methods.grid.fill import given_of, token_times
from pipelines.methods.grid.layout import FEWEST, LAYOUTS, Layout, snap_cell, tiled
from pipelines.methods.grid.plan import columns_wide, lattice, rows_high
from pipelines.methods.grid.request import GridRequest
from pipelines.models.registry import ENTRIES


@pytest.mark.parametrize("name", LAYOUTS)
def test_cutting_and_putting_together_are_inverse(name: str) -> None:
    layout = Layout.read(name)
    whole = np.random.default_rng(0).integers(0, 256, (3, 8 * layout.rows, 6 * layout.columns, 3), dtype=np.uint8)
    cells = [cell.copy() for cell in layout.cut(whole, -3)]
    assert len(cells) == layout.count == len(set(layout.names)) and all(cell.shape == (3, 8, 6, 3) for cell in cells)
    assert np.array_equal(tiled(layout, cells), whole)
    latents = torch.randn(2, 4, 3, 8 * layout.rows, 6 * layout.columns)
    assert torch.equal(layout.put(torch.empty_like(latents), layout.cut(latents)), latents)


def test_cells_are_called_as_the_paper_calls_them() -> None:
    assert Layout(2, 2).names == ("top left", "top right", "bottom left", "bottom right")
    assert Layout(1, 3).names == ("left", "middle", "right") and Layout(2, 3).names[4] == "bottom middle"
    with pytest.raises(UserError, match="2x2"):
        Layout.read("9x9")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_token_is_of_the_one_cell_whose_latents_it_covers(wan, name: str) -> None:
    layout = Layout.read(name)
    latents = wan.initial_noise(9, 32 * layout.rows, 32 * layout.columns, 0)
    grid = wan.tokens(latents)
    tokens = layout.tokens(*grid.grid)
    assert np.array_equal(np.sort(np.concatenate(tokens)), np.arange(grid.video))
    for number, own in enumerate(tokens):
        given = given_of(layout, {other: torch.zeros(1) for other in range(layout.count) if other != number}, latents)
        told = token_times(wan, given.missing, torch.tensor(7), latents.shape[2])
        assert torch.equal(told.nonzero()[:, 1], torch.from_numpy(own))


def test_a_border_that_would_cut_a_token_is_refused() -> None:
    with pytest.raises(ValueError, match="divided"):
        Layout(1, 3).windows(8, 8)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.family == "wan"], ids=lambda entry: entry.name)
def test_cells_lie_on_the_lattice_of_every_model(entry) -> None:
    step = lattice(entry)
    for name in LAYOUTS:
        layout = Layout.read(name)
        for asked in (16, 100, 130, 481, 2048):
            request = GridRequest(layout=name, width=asked, height=asked)
            for side, parts in ((columns_wide(request, entry), layout.columns), (rows_high(request, entry), layout.rows)):
                assert side % (parts * step) == 0 and side // parts // step >= FEWEST
                assert side <= max(entry.max_size, parts * step * FEWEST)
    assert lattice(entry) == (8 if entry.path else 16)


def test_snapping_goes_to_the_nearest() -> None:
    assert [snap_cell(pixels, 2, 8, 32, 192) for pixels in (128, 130, 136, 135, 10, 999)] == [64, 64, 72, 64, 32, 96]
