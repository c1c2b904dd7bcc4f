"""`python -m pipelines.playground.train <what>`: train a model of the playground, or go on after an interruption."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.run import Budget
from pipelines.playground.train.vae import train_vae


def main() -> None:
    """Parse the flags and run the recipe of the model named first."""
    flags = _flags()
    device = ("cuda" if torch.cuda.is_available() else "cpu") if flags.device == "auto" else flags.device
    budget = Budget(flags.minutes, flags.steps)
    clips = WorldClips(flags.work / "world", flags.clips, (flags.frames, flags.size, flags.size))
    clips.render_missing()
    if flags.what == "vae":
        vae = train_vae(clips, flags.work / "vae", budget, device, flags.resume, flags.seed)
        vae.save_pretrained(flags.work / "vae" / "model")


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.playground.train", description=__doc__)
    parser.add_argument("what", choices=["vae"])
    parser.add_argument("--minutes", type=float, default=30, help="running time; with --steps only an upper guide")
    parser.add_argument("--steps", type=int, help="train for exactly so many steps: repeatable")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True, help="go on from the last checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=4096, help="rendered training clips")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--work", type=Path, default=Path("training"), help="folder for caches and checkpoints")
    return parser.parse_args()


if __name__ == "__main__":
    main()
