"""The registry: what is listed, how models are found by name, repository and path."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from folders_for_tests import write_model

from pipelines.errors import NotAvailable, UserError
from pipelines.methods import REQUESTS
from pipelines.models.registry import entries, entry, require


@pytest.mark.parametrize("model", entries(), ids=lambda model: model.name)
def test_entries_hold_together(model):
    assert (model.repo is None) != (model.path is None)
    assert model.revision is None or re.fullmatch(r"[0-9a-f]{40}", model.revision)
    for side in (model.default_width, model.default_height):
        assert side % model.size_multiple == 0 and model.min_size <= side <= model.max_size
    assert model.default_frames % model.frame_step == 1 and model.max_frames % model.frame_step == 1
    assert model.default_frames <= model.max_frames
    assert model.licence and model.description and model.bytes > 0 and model.parameters > 0


@pytest.mark.parametrize("model", entries(), ids=lambda model: model.name)
def test_defaults_are_a_valid_request(model):
    request = REQUESTS["generate"].read({"model": model.name, "prompt": "a toy"} | model.defaults())
    assert request.width == model.default_width


def test_the_required_models_are_listed():
    repos = {model.repo for model in entries()}
    assert {"Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-T2V-14B-Diffusers", "Lightricks/LTX-Video"} <= repos
    assert entry("playground-wan").folder.parts[-3:] == ("assets", "models", "playground-wan")


def test_a_model_is_found_by_name_and_by_repository():
    assert entry("Wan2.1-1.3B") is entry("wan-ai/wan2.1-t2v-1.3b-diffusers")


@pytest.mark.parametrize("name", ["", "nothing", "playground", "a" * 500, "\0"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(UserError, match=r"choose one of playground-wan, playground-cogvideox, wan2\.1-1\.3b"):
        entry(name)


def test_a_folder_becomes_an_entry(tmp_path):
    model = entry(str(write_model(tmp_path / "mine")))
    assert (model.family, model.title, model.repo) == ("wan", "mine", None)
    assert model.parameters == 1000 and model.min_size == model.size_multiple == 16
    assert model.default_width == entry("playground-wan").default_width, "geometry of the nearest model in size"


def test_folders_that_are_no_model(tmp_path):
    with pytest.raises(NotAvailable, match="no model folder at"):
        entry(str(tmp_path / "missing"))
    with pytest.raises(NotAvailable, match=r"no model_index\.json"):
        entry(str(tmp_path))
    with pytest.raises(UserError, match="holds a FluxPipeline"):
        entry(str(write_model(tmp_path / "flux", pipeline="FluxPipeline")))
    with pytest.raises(NotAvailable, match="no model folder at"):
        entry("./" + "x" * 5000)


def test_a_listed_model_that_nothing_drives_says_so():
    with pytest.raises(NotAvailable, match="LTX-Video 2B is listed but cannot do text-to-video in this version: choose one of"):
        require(replace(entry("ltx-video"), can=()))
    require(entry("playground-wan"))


def test_the_registry_needs_no_torch():
    code = "import sys, pipelines.models.registry, pipelines.methods, pipelines.events; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
