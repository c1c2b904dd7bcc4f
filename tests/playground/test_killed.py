"""A training that is killed in the middle goes on to the same losses as one that was left alone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.models.registry import ROOT
from pipelines.playground.train.clips import open_sets
from pipelines.playground.train.curve import read_losses
from pipelines.playground.train.run import Budget
from pipelines.playground.train.vae import train_vae

STEPS = 8
FLAGS = ["--sizes", "64x64:32", "--frames", "5", "--steps", str(STEPS), "--batch", "1", "--save-every", "0", "--say-every", "1"]


def train_here(work: Path) -> dict[str, dict[int, float]]:
    sets = open_sets("64x64:32", 5, work / "world")
    train_vae(sets, work / "wan-vae", Budget(30, STEPS, save_every=0, say_every=1), "cpu", batch=1)
    return read_losses(work / "wan-vae")


def kill_after(rows: int, work: Path) -> None:
    """Start the recipe as a process of its own and kill it once its log has `rows` rows."""
    command = [sys.executable, "-m", "pipelines.playground.train", "wan-vae", *FLAGS, "--device", "cpu", "--work", str(work)]
    log, deadline = work / "wan-vae" / "log.jsonl", time.monotonic() + 200
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while time.monotonic() < deadline and process.poll() is None:
            if log.exists() and len(log.read_text().splitlines()) >= rows:
                break
            time.sleep(0.02)
        process.kill()


def test_killed_and_resumed_is_as_if_left_alone(tmp_path: Path) -> None:
    alone = train_here(tmp_path / "alone")
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "world").symlink_to(tmp_path / "alone" / "world")
    kill_after(4, killed)
    before = sum(len(rows) for rows in read_losses(killed / "wan-vae").values())
    assert 4 <= before < STEPS, "it was killed in the middle"
    resumed = train_here(killed)
    for phase, losses in alone.items():
        assert resumed[phase] == pytest.approx(losses, rel=1e-3)
    assert (killed / "wan-vae" / "loss.png").stat().st_size > 1000
