"""What appearance injection costs beside plain generation, in one run: with as many reference frames as the clip's, with one, and
with a reference that has been inverted before. Run by hand, alone on the machine, with -s.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.models.registry import entries

ROOT = Path(__file__).resolve().parents[2]
MODELS = [entry.name for entry in entries() if entry.folder]

SCRIPT = """
import json, statistics, sys, tempfile
from pathlib import Path
import numpy as np
from PIL import Image
from pipelines.backbones import open_store
from pipelines.methods import run
from pipelines.methods.appearance_warping.remembered import _kept
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.models.registry import entry
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, sample_scene

model, store, folder = entry(sys.argv[1]), open_store(), Path(tempfile.mkdtemp())
Image.fromarray(render(sample_scene(TRAIN_SEEDS[0], "instance"), 1, 96, 96).frames[0]).save(folder / "a.png")
learnt = {"model": model.name, "images": [str(folder / "a.png")], "name": "rex", "class_word": "toy", "folder": str(folder / "rex")}
*_, _ = run(AdaptRequest.read(learnt | {"steps": 2, "width": model.default_width, "height": model.default_height}), store)
base = {"model": model.name, "prompt": "a toy jumps in the snow", "seed": 1} | model.defaults()
mine = base | {"subject": str(folder / "rex")}
ways = {
    "plain": GenerateRequest.read(base),
    "off": PersonaliseRequest.read(mine | {"injection": "off"}),
    "match": PersonaliseRequest.read(mine),
    "one": PersonaliseRequest.read(mine | {"reference_frames": "1"}),
}
seconds = {name: [] for name in (*ways, "match again")}
with store.use(model.name):
    pass
for _ in range(4):
    for name, request in ways.items():
        _kept.clear()
        *_, last = run(request, store)
        seconds[name].append(last.values["seconds"])
        if name == "match":
            *_, last = run(request, store)
            seconds["match again"].append(last.values["seconds"])
print(json.dumps({name: statistics.median(values[1:]) for name, values in seconds.items()} | {"peak": last.values["peak_bytes"]}))
"""


@pytest.mark.parametrize("model", MODELS)
def test_what_injection_costs(model: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, model], cwd=ROOT, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    ratio = {name: row[name] / row["plain"] for name in ("off", "match", "match again", "one")}
    print(f"\n{model}: plain {row['plain']:.1f} s; " + ", ".join(f"{name} x{value:.2f}" for name, value in ratio.items()))
    print(f"peak memory of the process: {row['peak'] / 1e9:.2f} GB")
    assert ratio["match"] <= 1.7 and ratio["one"] <= 1.25 and ratio["match again"] < ratio["match"]
    assert row["match"] < 40 and row["peak"] < 4e9
