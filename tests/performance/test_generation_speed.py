"""How quick the embedded model is and how much memory it takes. Run by hand, alone on the machine, with -s."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, time
from pipelines.backbones import open_store
from pipelines.methods import run
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import entry

store, model = open_store(), entry("playground-wan")
seconds = []
for seed in range(4):
    began = time.perf_counter()
    *_, last = run(GenerateRequest(model=model.name, prompt="a red ball bounces on a beach", seed=seed, **model.defaults()), store)
    seconds.append(time.perf_counter() - began)
print(json.dumps({"cold": seconds[0], "warm": sorted(seconds[1:])[1], "peak": last.values["peak_bytes"], "steps": last.request.steps}))
"""


def test_a_default_clip() -> None:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    cold, total = row["cold"], time.perf_counter() - began
    print(f"\n{row['steps']} steps, warm: {row['warm']:.1f} s; with loading: {cold:.1f} s; process: {total:.1f} s")
    print(f"peak memory of the process: {row['peak'] / 2**30:.2f} GiB")
    assert row["warm"] < 15 and row["peak"] < 3 * 2**30
