"""What taking over a motion costs beside plain generation, source encoding included, in one run. By hand, alone on the machine, with -s."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.models.registry import entries

ROOT = Path(__file__).resolve().parents[2]
MODELS = [entry.name for entry in entries() if entry.folder]
BARS = {"one level": 1.10, "every level": 1.35}

SCRIPT = """
import json, statistics, sys, tempfile
from pathlib import Path
from pipelines.backbones import open_store
from pipelines.methods import run
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.models.registry import entry
from pipelines.models.wishes import wishes
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_SEEDS, sample_scene
from pipelines.video import write_clip

model, store = entry(sys.argv[1]), open_store()
clip = render(sample_scene(TRAIN_SEEDS[0], "toy"), model.default_frames, model.default_height, model.default_width).frames
source = write_clip(Path(tempfile.mkdtemp()) / "a.png", clip, model.fps)
base = {"model": model.name, "prompt": "a toy in the snow", "seed": 1} | model.defaults()
mine = base | wishes(model, "transfer-motion")
ways = {"plain": GenerateRequest.read(base)}
for recorded in ("one level", "every level"):
    ways[recorded] = MotionRequest.read(mine | {"source": str(source), "recorded": recorded})
seconds = {name: [] for name in ways}
with store.use(model.name):
    pass
for _ in range(5):
    for name, request in ways.items():
        *_, last = run(request, store)
        seconds[name].append(last.values["seconds"])
print(json.dumps({name: statistics.median(values[1:]) for name, values in seconds.items()}))
"""


@pytest.mark.parametrize("model", MODELS)
def test_what_taking_over_a_motion_costs(model: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, model], cwd=ROOT, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    ratio = {name: row[name] / row["plain"] for name in BARS}
    print(f"\n{model}: plain {row['plain']:.2f} s; " + ", ".join(f"{name} x{value:.2f}" for name, value in ratio.items()))
    assert all(ratio[name] <= bar for name, bar in BARS.items())
