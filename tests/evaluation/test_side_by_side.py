"""Parts of an evaluation, one after the other and side by side."""

from __future__ import annotations

import os
from functools import partial

import pytest

from pipelines.evaluation.apart import side_by_side
from pipelines.evaluation.rows import Row


def part(name: str) -> list[Row]:
    return [Row.of(name, [float(os.getpid())]), Row.of(f"{name} again", [1.0])]


def broken() -> list[Row]:
    raise ValueError("of this part")


def threads() -> list[Row]:
    import torch

    return [Row.of("threads", [torch.get_num_threads()])]


def test_their_rows_come_in_order_from_processes_of_their_own() -> None:
    first, second = side_by_side([partial(part, "a"), partial(part, "b")], "cpu", workers=2)
    assert [row.name for row in (*first, *second)] == ["a", "a again", "b", "b again"]
    assert os.getpid() not in (first[0].value, second[0].value)


@pytest.mark.parametrize(("device", "workers"), [("cuda", 2), ("cpu", 1)])
def test_on_a_card_or_one_core_they_run_here(device: str, workers: int) -> None:
    assert [rows[0].value for rows in side_by_side([partial(part, "a"), partial(part, "b")], device, workers)] == [os.getpid()] * 2


def test_they_share_the_cores() -> None:
    found = list(side_by_side([threads, threads], "cpu", workers=2))
    assert all(rows[0].value == max(1, len(os.sched_getaffinity(0)) // 2) for rows in found)


def test_a_part_that_fails_ends_all_with_its_error() -> None:
    with pytest.raises(ValueError, match="of this part"):
        list(side_by_side([broken, partial(part, "a")], "cpu", workers=2))
