"""What matching and maps need at the size of CogVideoX-5B: 13 x 30 x 45 video tokens, 226 of text, 48 heads, one layer.

Run by hand, with -s.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, resource, time
import torch
from pipelines.attention.correspondence import cycle_error, cycle_mask, match, warp
from pipelines.attention.maps import joint_map, scale
from pipelines.backbones.layout import TokenLayout

layout = TokenLayout(226, 13, 30, 45, 48, 226)
torch.manual_seed(0)
query, key, other_query, other_key = torch.randn(4, 1, layout.total, 48 * 64).unbind()
began = time.perf_counter()
foreground = scale(joint_map(query, key, layout, [5, 6]))[0] > 0.3
mapped = time.perf_counter()
video = [part[0, layout.text:] for part in (query, key, other_query, other_key)]
matches = match(*video, layout.grid)
mask = cycle_mask(cycle_error(matches), foreground)
warped = warp(other_key[0, layout.text:], matches)
print(json.dumps({"map": mapped - began, "match": time.perf_counter() - mapped, "shape": list(warped.shape),
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def test_it_stays_within_six_gigabytes() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    print(f"\nmap {row['map']:.0f} s, matching and warping {row['match']:.1f} s, peak memory of the process {row['peak'] / 1e9:.2f} GB")
    assert row["shape"] == [13 * 30 * 45, 48 * 64] and row["peak"] < 6e9
