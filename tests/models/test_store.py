"""The store with real folders on disk and a loader that reads their safetensors."""

import gc
import threading
import time
import weakref

import pytest
import torch
from folders_for_tests import write_model
from safetensors.torch import load_file

from pipelines.errors import NotAvailable, UserError
from pipelines.events import Progress
from pipelines.models.registry import entry
from pipelines.models.store import ModelStore, data_home

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


class Loaded:
    """What the loader of these tests makes of a folder: its transformer's weights on a device."""

    def __init__(self, folder, device, placement):
        self.weights = load_file(folder / WEIGHTS, device=device)["weight"]
        self.placement = placement


def path_of(tmp_path, name="model", **options):
    return str(write_model(tmp_path / name, **options))


def store_of(tmp_path, loader=Loaded, **options):
    return ModelStore({"wan": loader}, home=tmp_path / "home", device="cpu", **options)


def test_loads_once_and_shares(tmp_path):
    store, path, heard = store_of(tmp_path), path_of(tmp_path), []
    first = store.get(path, progress=heard.append)
    assert first.weights.shape == (1000,) and first.placement == "cpu"
    assert store.get(path, progress=heard.append) is first
    assert heard == [Progress("loading the model")]
    assert store.status(path).loaded and store.status(path).on_disk


def test_the_least_recently_used_is_evicted_and_freed(tmp_path):
    store = store_of(tmp_path, cache_bytes=9000)
    paths = [path_of(tmp_path, name) for name in "abc"]
    gone = weakref.ref(store.get(paths[0]))
    store.get(paths[1]), store.get(paths[2])
    assert [store.status(path).loaded for path in paths] == [False, True, True]
    assert gone() is None


def test_a_model_in_use_is_never_evicted(tmp_path):
    store = store_of(tmp_path, cache_bytes=5000)
    paths = [path_of(tmp_path, name) for name in "abc"]
    with store.use(paths[0]) as used:
        store.get(paths[1])
        store.get(paths[2])
        assert store.status(paths[0]).loaded and store.get(paths[0]) is used
        with pytest.raises(UserError, match="a is in use"):
            store.evict(paths[0])
    store.evict(paths[0])
    assert not store.status(paths[0]).loaded


def test_many_threads_load_a_model_once(tmp_path):
    loads = []

    def slow(*arguments):
        loads.append(arguments)
        time.sleep(0.1)
        return Loaded(*arguments)

    store, path, got = store_of(tmp_path, slow), path_of(tmp_path), []
    threads = [threading.Thread(target=lambda: got.append(store.get(path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len(got) == 6 and all(each is got[0] for each in got)


def test_truncated_weights_are_one_sentence(tmp_path):
    store, path = store_of(tmp_path), path_of(tmp_path)
    weights = tmp_path / "model" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(UserError, match=r"diffusion_pytorch_model\.safetensors is damaged or incomplete: delete it"):
        store.get(path)


def test_what_is_not_here_says_how_to_get_it(tmp_path):
    store = store_of(tmp_path)
    with pytest.raises(NotAvailable, match=r"Wan2\.1 1\.3B is not on this machine yet: .*28\.9 GB.* models download wan2\.1-1\.3b"):
        store.get("wan2.1-1.3b")
    with pytest.raises(NotAvailable, match="LTX-Video 2B can be downloaded but not run yet"):
        store.get("ltx-video")
    with pytest.raises(UserError, match="was not downloaded, so it stays"):
        store.delete(path_of(tmp_path))
    with pytest.raises(UserError, match="was not downloaded"):
        store.delete("playground-wan")


def test_a_folder_that_the_loader_cannot_use_is_one_sentence(tmp_path):
    def loader(folder, device, placement):
        raise KeyError("attention\nheads")

    with pytest.raises(UserError, match=r"cannot be loaded from .*, get the model again .KeyError") as caught:
        store_of(tmp_path, loader).get(path_of(tmp_path))
    assert "\n" not in str(caught.value)


def test_out_of_memory_while_loading_evicts_and_tries_once_more(tmp_path):
    failures = [2**60]

    def tight(folder, device, placement):
        while failures:
            torch.empty(failures.pop(), dtype=torch.uint8)
        return Loaded(folder, device, placement)

    store = store_of(tmp_path)
    other, path = path_of(tmp_path, "other"), path_of(tmp_path)
    store.get(other)
    store._loaders["wan"] = tight
    assert store.get(path).weights.shape == (1000,)
    assert not store.status(other).loaded


def test_out_of_memory_for_good_says_how_much_was_needed(tmp_path):
    def hungry(*_):
        return torch.empty(2**60, dtype=torch.uint8)

    with pytest.raises(UserError, match=r"model ran out of memory \(another 1152921504\.6 GB were needed\): choose a smaller size"):
        store_of(tmp_path, hungry).get(path_of(tmp_path))


def test_out_of_memory_while_working_is_one_sentence_and_the_store_goes_on(tmp_path):
    store, path = store_of(tmp_path), path_of(tmp_path)
    with pytest.raises(UserError, match="ran out of memory"), store.use(path):
        torch.empty(2**60, dtype=torch.uint8)
    store.evict(path)
    assert store.get(path).weights.shape == (1000,)


def test_attempt_does_not_run_again_where_nothing_would_be_different(tmp_path):
    store, path, runs = store_of(tmp_path), path_of(tmp_path), []

    def work(backbone):
        runs.append(backbone.placement)
        yield Progress("denoising", len(runs))
        torch.empty(2**60, dtype=torch.uint8)

    with pytest.raises(UserError, match="ran out of memory"):
        list(store.attempt(path, work))
    assert runs == ["cpu"], "the processor has no placement that needs less"
    assert not store.status(path).loaded


def test_attempt_runs_again_when_others_made_room(tmp_path):
    store, path, other, runs = store_of(tmp_path), path_of(tmp_path), path_of(tmp_path, "other"), []
    store.get(other)

    def work(backbone):
        runs.append(backbone.placement)
        if len(runs) == 1:
            torch.empty(2**60, dtype=torch.uint8)
        yield Progress("denoising", len(runs))

    phases = [event.phase for event in store.attempt(path, work)]
    assert phases == ["loading the model", "out of memory, trying again with less", "denoising"]
    assert not store.status(other).loaded and store.status(path).loaded


def test_attempt_closes_with_its_reader(tmp_path):
    store, path, closed = store_of(tmp_path), path_of(tmp_path), []

    def work(backbone):
        try:
            while True:
                yield Progress("denoising")
        finally:
            closed.append(True)

    run = store.attempt(path, work)
    assert [next(run).phase for _ in range(2)] == ["loading the model", "denoising"]
    run.close()
    assert closed
    store.evict(path)


def test_a_model_too_large_for_the_machine_is_refused_before_it_is_loaded(tmp_path, monkeypatch):
    loads = []
    store = store_of(tmp_path, lambda *arguments: loads.append(arguments))
    monkeypatch.setattr("pipelines.models.placement.BYTES_PER_WEIGHT", {"cpu": 1e12})
    with pytest.raises(UserError, match=r"needs about .* GB of memory and .* GB are free"):
        store.get(path_of(tmp_path))
    assert not loads


def test_the_data_home_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "elsewhere"))
    assert data_home() == tmp_path / "elsewhere" == ModelStore({}).home
    monkeypatch.delenv("LIKENESS_HOME")
    assert data_home().name == "likeness"


def test_an_unused_store_keeps_nothing_alive(tmp_path):
    store, path = store_of(tmp_path), path_of(tmp_path)
    backbone = weakref.ref(store.get(path))
    assert backbone() is not None and entry(path).folder is not None
    store.evict(path)
    gc.collect()
    assert backbone() is None
