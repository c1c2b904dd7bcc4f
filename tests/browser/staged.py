"""Runs app.py with a procedural method behind every request, so that no model is loaded: `python staged.py LOG [flags of app.py]`.

What a request asks for beyond plain generation (`injection`, `step_seconds`) travels in it as a setting that this version does
not know, which `tests/matched_dot.py` heeds.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

import matched_dot  # noqa: E402

from pipelines import methods  # noqa: E402
from studio.shell import Studio  # noqa: E402

methods.run = matched_dot.run
Studio._warm = lambda studio: studio.ready.set()

import watched  # noqa: E402, F401  runs app.py
