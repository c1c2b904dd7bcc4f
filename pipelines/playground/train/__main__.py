"""`python -m pipelines.playground.train <what>`: train a model of the playground, or go on after an interruption."""

from __future__ import annotations

import argparse
import platform
from datetime import date
from pathlib import Path

import torch

from pipelines.models.registry import ROOT
from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.run import Budget


def main() -> None:
    """Parse the flags and run the recipe of the model named first."""
    flags = _flags()
    if flags.what == "card":
        card(flags)
        return
    device = ("cuda" if torch.cuda.is_available() else "cpu") if flags.device == "auto" else flags.device
    clips = WorldClips(flags.work / "world", flags.clips, (flags.frames, flags.size, flags.size))
    clips.render_missing()
    RECIPES[flags.what](flags, device, clips)


def vae(flags: argparse.Namespace, device: str, clips: WorldClips) -> None:
    """The video autoencoder, into WORK/vae/model."""
    from pipelines.playground.train.vae import train_vae

    model = train_vae(clips, flags.work / "vae", Budget(flags.minutes, flags.steps), device, flags.resume, flags.seed)
    model.save_pretrained(flags.work / "vae" / "model")


def decoder(flags: argparse.Namespace, device: str, clips: WorldClips) -> None:
    """More training of the decoder in WORK/vae/model, into WORK/vae/refined; the latents stay as they are."""
    from diffusers import AutoencoderKLWan

    from pipelines.playground.train.vae import train_decoder

    model = AutoencoderKLWan.from_pretrained(flags.work / "vae" / "model").to(device)
    train_decoder(model, clips, flags.work / "vae", Budget(flags.minutes, flags.steps), device, flags.resume, flags.seed)
    model.save_pretrained(flags.work / "vae" / "refined")


def wan(flags: argparse.Namespace, device: str, clips: WorldClips) -> None:
    """Text encoder and transformer on the latents of WORK/vae/model; the whole pipeline goes to OUT."""
    from diffusers import AutoencoderKLWan

    from pipelines.playground.train.export import export, sample_sheet
    from pipelines.playground.train.wan import train_wan

    budget = Budget(flags.minutes, flags.steps)
    pipeline = train_wan(
        clips, flags.work / "wan", flags.work / "vae" / "model", budget, device, flags.resume, flags.seed, flags.compile, flags.batch
    ).to("cpu")
    refined = flags.work / "vae" / "refined"
    if refined.exists():
        pipeline.vae = AutoencoderKLWan.from_pretrained(refined).eval()
    out = flags.out or ROOT / "assets" / "models" / "playground-wan"
    export(pipeline, out, clips, _recipe(flags, device))
    sample_sheet(pipeline, flags.work / "wan" / "samples.png", flags.size, flags.frames)


RECIPES = {"vae": vae, "decoder": decoder, "wan": wan}


def card(flags: argparse.Namespace) -> None:
    """The card of the model in OUT from the report FIGURES and the text NOTES."""
    from pipelines.playground.train.card import write_card

    write_card(flags.out or ROOT / "assets" / "models" / "playground-wan", flags.figures, flags.notes.read_text().strip())


def _recipe(flags: argparse.Namespace, device: str) -> dict:
    """How a model was trained, for its card."""
    chosen = {name: value for name, value in vars(flags).items() if name not in ("work", "out", "resume") and value is not None}
    machine = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    return {"flags": chosen, "device": machine, "torch": torch.__version__, "date": date.today().isoformat()}


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.playground.train", description=__doc__)
    parser.add_argument("what", choices=[*RECIPES, "card"])
    parser.add_argument("--minutes", type=float, default=30, help="running time")
    parser.add_argument("--steps", type=int, help="train for exactly so many steps instead: repeatable")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True, help="go on from the last checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=3072, help="rendered training clips")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--batch", type=int, default=16, help="clips per step of the transformer")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False, help="compile the transformer's blocks")
    parser.add_argument("--work", type=Path, default=Path("training"), help="folder for caches and checkpoints")
    parser.add_argument("--out", type=Path, help="folder of the finished model (default: its place in assets/models)")
    parser.add_argument("--figures", type=Path, help="card: the JSON of `python -m pipelines evaluate playground`")
    parser.add_argument("--notes", type=Path, help="card: a text that says how the model was trained")
    return parser.parse_args()


if __name__ == "__main__":
    main()
