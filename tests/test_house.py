"""The house rules that a machine can check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], check=False, cwd=ROOT, capture_output=True, text=True)


def test_ruff_has_nothing_to_say() -> None:
    done = run("-m", "ruff", "check", ".")
    assert done.returncode == 0, done.stdout


def test_arrows_point_downwards() -> None:
    done = run("-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))")
    assert done.returncode == 0, done.stdout


LIGHT = ["pipelines.requests", "pipelines.events", "pipelines.methods", "pipelines.models.registry", "pipelines.video", "studio.shell"]


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_stay_light(module: str) -> None:
    heavy = "{'torch', 'diffusers', 'transformers', 'peft'}"
    done = run("-c", f"import sys, {module}; raise SystemExit(str(set(sys.modules) & {heavy} or ''))")
    assert done.stderr.strip() in ("", "set()"), done.stderr


def test_models_of_the_repository_do_not_say_where_they_were_made() -> None:
    assert not [file for file in (ROOT / "assets").rglob("*.json") if "_name_or_path" in file.read_text()]


def test_models_of_the_repository_hold_safetensors_only() -> None:
    weights = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
    assert not [file for file in (ROOT / "assets").rglob("*") if file.suffix in weights]
    assert sum(file.stat().st_size for file in (ROOT / "assets" / "models").rglob("*") if file.is_file()) < 46 * 2**20
