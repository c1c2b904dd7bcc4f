"""What a board costs beside the same shots drawn alone, in one run, and how its memory grows. By hand, alone on the machine, with -s."""

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
import json, resource, statistics, sys, time
from pipelines.backbones import open_store
from pipelines.methods import run
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.storyboard.claims import board_of
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.models.registry import entry
from pipelines.models.wishes import wishes

model, store, shots = entry(sys.argv[1]), open_store(), int(sys.argv[2])
texts = [shot["text"] for number in range((shots + 3) // 4) for shot in board_of(number, tuning=True)["shots"]]
base = {"model": model.name} | model.defaults()
asked = {"prompt": "a red star", "seed": 1, "shots": [{"text": text} for text in texts[:shots]]}
board = base | wishes(model, "storyboard") | asked
seconds = {"alone": [], "fused": [], "three": []}
with store.use(model.name):
    pass
for _ in range(int(sys.argv[3])):
    began = time.perf_counter()
    for number, text in enumerate(texts[:shots]):
        *_, last = run(GenerateRequest.read(base | {"prompt": f"a red star {text}", "seed": number}), store)
    seconds["alone"].append(time.perf_counter() - began)
    for passes in sys.argv[4:]:
        *_, last = run(StoryboardRequest.read(board | {"passes": passes}), store)
        seconds[passes].append(last.values["seconds"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({name: statistics.median(values) for name, values in seconds.items() if values} | {"peak": peak}))
"""


def measure(model: str, shots: int, rounds: int, *passes: str) -> dict[str, float]:
    """Median seconds alone and in company, and peak bytes of the process."""
    asked = [sys.executable, "-c", SCRIPT, model, str(shots), str(rounds), *passes]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("model", MODELS)
def test_what_a_board_costs(model: str) -> None:
    row = measure(model, 4, 2, "fused", "three")
    ratio = {name: row[name] / row["alone"] for name in ("fused", "three")}
    print(f"\n{model}: 4 shots alone {row['alone']:.1f} s; " + ", ".join(f"{name} x{value:.2f}" for name, value in ratio.items()))
    assert ratio["fused"] <= 2.2 and row["fused"] <= 90


@pytest.mark.parametrize("model", MODELS)
def test_memory_does_not_grow_with_the_shots(model: str) -> None:
    peaks = {shots: measure(model, shots, 1, "fused")["peak"] for shots in (2, 4, 8)}
    print(f"\n{model}: " + ", ".join(f"{shots} shots {peak / 1e9:.2f} GB" for shots, peak in peaks.items()))
    assert peaks[8] <= 1.1 * peaks[2]
