"""Downloads against a real HTTP server: whole, cut, resumed, cancelled, damaged, offline."""

import shutil
import time

import pytest
from folders_for_tests import model_files
from tiny_hub import COMMIT

from pipelines.errors import NotAvailable, UserError
from pipelines.models.download import download
from pipelines.models.store import ModelStore

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_brings_the_diffusers_files_and_nothing_else(hub, hub_model, tmp_path):
    steps = list(download(hub_model, tmp_path / "models" / "tiny"))
    folder = tmp_path / "models" / "tiny"
    assert everything(folder) == sorted([*model_files(), "LICENSE.txt"])
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert not (tmp_path / "escape.json").exists() and not (tmp_path / "models" / "escape.json").exists()
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert steps[-1].step == steps[-1].total == total and steps[-1].unit == "bytes"


def test_reports_bytes_and_time_left(hub, hub_model, tmp_path):
    hub.pause = 0.05
    steps = [step for step in download(hub_model, tmp_path / "tiny") if step.phase == "downloading" and step.total]
    seen = [step.step for step in steps]
    assert seen == sorted(seen) and len(set(seen)) > 2 and max(seen) <= steps[-1].total
    assert any(step.seconds_left is not None and 0 <= step.seconds_left < 60 for step in steps)


@pytest.mark.parametrize("ignore_ranges", [False, True])
def test_a_cut_connection_is_taken_up_again(hub, hub_model, tmp_path, ignore_ranges):
    hub.cuts, hub.ignore_ranges = 2, ignore_ranges
    last = list(download(hub_model, tmp_path / "tiny"))[-1]
    assert (tmp_path / "tiny" / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert hub.ranges and last.step == last.total


def test_cancel_stops_at_once_and_the_next_start_goes_on(hub, hub_model, tmp_path):
    hub.pause = 0.1
    run = download(hub_model, tmp_path / "tiny")
    while next(run).step < 2_000_000:
        pass
    start = time.monotonic()
    run.close()
    assert time.monotonic() - start < 20
    assert not (tmp_path / "tiny").exists()
    part = next(tmp_path.glob("tiny.*.partial")) / f"{WEIGHTS}.part"
    kept = part.stat().st_size
    assert kept >= 1_500_000
    time.sleep(0.3)
    assert part.stat().st_size == kept, "nothing goes on in the background"
    hub.pause, hub.served[:] = 0.0, []
    list(download(hub_model, tmp_path / "tiny"))
    assert f"bytes={kept}-" in hub.ranges
    assert hub.served.count("vae/diffusion_pytorch_model.safetensors") <= 1
    assert (tmp_path / "tiny" / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    assert not list(tmp_path.glob("*.partial"))


def test_a_damaged_part_is_noticed_and_fetched_anew(hub, hub_model, tmp_path):
    part = tmp_path / f"tiny.{COMMIT[:8]}.partial" / f"{WEIGHTS}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 1_000_000)
    list(download(hub_model, tmp_path / "tiny"))
    assert (tmp_path / "tiny" / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


@pytest.mark.parametrize("path", [WEIGHTS, "vae/config.json"])
def test_a_file_that_always_arrives_damaged_is_refused(hub, hub_model, tmp_path, path):
    hub.corrupt.add(path)
    with pytest.raises(UserError, match=f"{path} of Tiny arrived damaged"):
        list(download(hub_model, tmp_path / "tiny"))
    assert not (tmp_path / "tiny").exists()


def test_without_a_network_one_sentence_within_seconds(hub_model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(NotAvailable, match="cannot be reached: connect to the internet") as caught:
        list(download(hub_model, tmp_path / "tiny"))
    assert time.monotonic() - start < 30
    assert "\n" not in str(caught.value)


def test_a_connection_lost_for_good_says_how_to_go_on(hub, hub_model, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.models.download.ATTEMPTS", 2)
    hub.pause = 0.05
    run = download(hub_model, tmp_path / "tiny")
    while next(run).step < 1_000_000:
        pass
    hub.cuts, hub.status = 1, 503
    with pytest.raises(NotAvailable, match=r"connection was lost: .* GB are here, start it again to go on"):
        list(run)


@pytest.mark.parametrize(("status", "words"), [(401, "accept its licence"), (404, "accept its licence"), (418, "answered 418")])
def test_refusals_of_the_hub_in_one_sentence(hub, hub_model, tmp_path, status, words):
    hub.status = status
    start = time.monotonic()
    with pytest.raises(NotAvailable, match=words):
        list(download(hub_model, tmp_path / "tiny"))
    assert time.monotonic() - start < 20


def test_a_full_disk_is_noticed_before_the_download(hub, hub_model, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(UserError, match=r"does not fit on the disk: 0\.3 GB are needed"):
        list(download(hub_model, tmp_path / "tiny"))


def test_two_downloads_of_one_model_do_not_meet(hub, hub_model, tmp_path):
    hub.pause = 0.3
    first, second = (download(hub_model, tmp_path / "tiny") for _ in range(2))
    while next(first).step < 1_000_000:
        pass
    while next(second).phase != "waiting for another download of this model":
        pass
    hub.pause = 0.0
    list(first), list(second)
    assert hub.served.count(WEIGHTS) == 1 and (tmp_path / "tiny" / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_the_store_downloads_deletes_and_reports(hub, hub_model, tmp_path):
    store = ModelStore({}, home=tmp_path)
    assert not store.status("tiny").on_disk and store.folder(hub_model) is None
    list(store.download("tiny"))
    status = store.status("tiny")
    assert status.on_disk and status.bytes > 6_000_000 and not status.loaded
    hub.served.clear()
    assert list(store.download("tiny")) == [] and hub.served == []
    assert store.delete("tiny") == status.bytes
    assert not store.status("tiny").on_disk


def test_an_unfinished_download_shows_and_can_be_deleted(hub, hub_model, tmp_path):
    store = ModelStore({}, home=tmp_path)
    hub.pause = 0.05
    run = store.download("tiny")
    while next(run).step < 1_000_000:
        pass
    run.close()
    assert store.status("tiny").partial_bytes >= 1_000_000 and not store.status("tiny").on_disk
    store.delete("tiny")
    assert store.status("tiny").partial_bytes == 0
