"""What a face costs beside plain generation, in one run: with the two passes of guidance, and with a third of its own. The photo is
looked at in both, the clip decoded once. Run by hand, alone on the machine, with -s.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.methods.face_identity.adapters import adapters

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = [adapter.name for adapter in adapters() if adapter.path]
BARS = {"two passes": 1.25, "three passes": 1.9}
SLOWEST = 30.0

SCRIPT = """
import json, statistics, sys, tempfile
from pathlib import Path
from PIL import Image
from pipelines.backbones import open_store
from pipelines.methods import run
from pipelines.methods.face_identity.adapters import known
from pipelines.methods.face_identity.claims import case_of
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.face_training.trial import IDENTITIES, SEEDS
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import entry
from pipelines.models.wishes import wishes

adapter, store, case = known(sys.argv[1]), open_store(), case_of(0, IDENTITIES, SEEDS)
model = entry(adapter.base)
photo = Path(tempfile.mkdtemp()) / "a.png"
Image.fromarray(case.photo).save(photo)
mine = model.defaults() | wishes(model, "face") | {"model": model.name, "prompt": case.prompt, "seed": 1, "watch_every": 0}
shown = mine | {"photo": str(photo), "consent": True, "adapter": adapter.name}
ways = {
    "plain": GenerateRequest.read(mine),
    "two passes": FaceRequest.read(shown | {"id_guidance": 0.0}),
    "three passes": FaceRequest.read(shown | {"id_guidance": 2.0}),
}
seconds = {name: [] for name in ways}
with store.use(model.name):
    pass
for _ in range(5):
    for name, request in ways.items():
        *_, last = run(request, store)
        seconds[name].append(last.values["seconds"])
print(json.dumps({name: statistics.median(values[1:]) for name, values in seconds.items()} | {"peak": last.values["peak_bytes"]}))
"""


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_a_face_costs(adapter: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, adapter], cwd=ROOT, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    ratio = {name: row[name] / row["plain"] for name in BARS}
    print(f"\n{adapter}: plain {row['plain']:.1f} s; " + ", ".join(f"{name} x{value:.2f}" for name, value in ratio.items()))
    print(f"with three passes {row['three passes']:.1f} s; peak memory of the process: {row['peak'] / 1e9:.2f} GB")
    assert all(ratio[name] <= bar for name, bar in BARS.items()) and row["three passes"] <= SLOWEST
