"""`python -m pipelines.playground.train <what>`: train a model of the playground, or go on after an interruption."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

RECIPES = {
    "wan-vae": "vae:main",
    "wan-decoder": "vae:main_of_decoder",
    "wan": "wan:main",
    "cogvideox-vae": "cogvideox_vae:main",
    "cogvideox": "cogvideox:main",
    "judge": "judge:main",
    "expressions": "expressions:main",
    "segmenter": "segmenter:main",
    "upsampler": "upsampler:main",
    "faces": "faces.packs:main",
    "faces-second": "faces.packs:main_of_second",
}
"""Model -> module and function, `function(flags, device)`."""


def main() -> None:
    """Parse the flags and run the recipe of the model named first."""
    flags = _flags()
    if flags.what == "card":
        card(flags)
        return
    import torch

    device = ("cuda" if torch.cuda.is_available() else "cpu") if flags.device == "auto" else flags.device
    module, function = RECIPES[flags.what].split(":")
    getattr(import_module(f"pipelines.playground.train.{module}"), function)(flags, device)


def card(flags: argparse.Namespace) -> None:
    """The card of the model in OUT from the report FIGURES and the text NOTES."""
    from pipelines.models.registry import ROOT
    from pipelines.playground.train.card import write_card

    write_card(flags.out or ROOT / "assets" / "models" / "playground-wan", flags.figures, flags.notes.read_text().strip())


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.playground.train", description=__doc__)
    parser.add_argument("what", choices=[*RECIPES, "card"])
    parser.add_argument("--minutes", type=float, default=30, help="running time")
    parser.add_argument("--steps", type=int, help="train for exactly so many steps instead: repeatable")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True, help="go on from the last checkpoint")
    parser.add_argument("--start", type=Path, help="folder of a finished model to begin with, instead of random weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", default="64x64:2048,96x96:512", help="rendered training clips, height x width : count, ...")
    parser.add_argument("--stills", default="64x64:8192", help="the same for single frames of scenes at rest (wan, cogvideox)")
    parser.add_argument("--stills-until", type=float, default=0.4, help="share of the training that is about those only")
    parser.add_argument("--clips", type=int, help="size of the training set of the recipes that render single frames")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--batch", type=int, default=8, help="samples per step")
    parser.add_argument("--save-every", type=float, default=50, help="seconds between checkpoints")
    parser.add_argument("--say-every", type=int, default=25, help="steps between rows of the log")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False, help="compile the transformer's blocks")
    parser.add_argument("--work", type=Path, default=Path("training"), help="folder for caches and checkpoints")
    parser.add_argument("--vae", type=Path, help="folder of the autoencoder, if not the one trained in WORK")
    parser.add_argument("--out", type=Path, help="folder of the finished model (default: its place in assets/models)")
    parser.add_argument("--figures", type=Path, help="card: the JSON of `python -m pipelines evaluate playground`")
    parser.add_argument("--notes", type=Path, help="card: a text that says how the model was trained")
    return parser.parse_args()


if __name__ == "__main__":
    main()
