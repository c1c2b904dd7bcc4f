"""Placement from free memory, and sentences when memory runs out."""

import pytest
import torch

from pipelines.errors import UserError
from pipelines.models.placement import (
    Memory,
    check_fits,
    check_placement,
    choose,
    free_memory,
    is_out_of_memory,
    next_placement,
    out_of_memory,
    resolve_device,
    total_memory,
)

GB = 10**9


@pytest.mark.parametrize(
    ("count", "card", "main", "expected"),
    [
        (7 * GB, 80 * GB, 200 * GB, "gpu"),
        (7 * GB, 12 * GB, 64 * GB, "offload"),
        (7 * GB, 12 * GB, 14 * GB, "low"),
        (7 * GB, 4 * GB, 64 * GB, "low"),
    ],
)
def test_the_fastest_placement_that_fits(count, card, main, expected):
    assert choose("cuda", count, Memory(card, main)) == expected


def test_without_a_card_everything_runs_on_the_processor():
    assert choose("cpu", 7 * GB, Memory(0, GB)) == "cpu"
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert 0 < free_memory("cpu").main <= total_memory("cpu")


def test_a_model_that_cannot_fit_is_refused_with_figures():
    with pytest.raises(UserError, match=r"Wan needs about 28\.0 GB of memory and 8\.0 GB are free"):
        check_fits("Wan", "cpu", 7 * GB, Memory(0, 8 * GB))
    check_fits("Wan", "cpu", 7 * GB, Memory(0, 30 * GB))


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda:", "tpu", ""])
def test_devices_that_are_not_there(device):
    with pytest.raises(UserError, match="device"):
        resolve_device(device)


@pytest.mark.parametrize(("device", "placement"), [("cpu", "gpu"), ("cpu", "low"), ("cuda", "cpu"), ("cpu", "fast")])
def test_placements_that_do_not_go_with_the_device(device, placement):
    with pytest.raises(UserError, match="placement"):
        check_placement(device, placement)


def test_each_placement_leads_to_one_that_needs_less():
    assert [next_placement(name) for name in ("gpu", "offload", "low", "cpu")] == ["offload", "low", None, None]


def test_out_of_memory_is_recognised_and_says_how_much():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert "1152921504.6 GB were needed" in str(out_of_memory("Wan", caught.value))
    card = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 8 GiB")
    assert is_out_of_memory(card) and "another 2.7 GB were needed" in str(out_of_memory("Wan", card))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
