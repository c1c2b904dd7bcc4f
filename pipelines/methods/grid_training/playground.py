"""The training of the playground's own grid adapters: `python -m pipelines.methods.grid_training.playground`.

Concepts are rendered by the world, each under several effects and in another place, and what the frozen parts of playground-wan say
of them is made first and kept; how long that takes does not count. Grid-Fill is trained on such grids straight away: hundreds of
concepts stand where the paper has 25 grids and samples of its Grid LoRA, which it needs because it has so few. `--samples N` mixes
in N grids that the Grid LoRA in the folder of the adapter draws. Everything goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.events import Event
from pipelines.methods.face_training.playground import report
from pipelines.methods.grid.names import FILES, Kind
from pipelines.methods.grid_training.examples import Source
from pipelines.methods.grid_training.recipe import Recipe
from pipelines.methods.grid_training.recorded import Mixed, RecordedWorld
from pipelines.methods.grid_training.train import train
from pipelines.playground.train.export import write_recipe
from pipelines.playground.train.run import Budget

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

MODULE = "pipelines.methods.grid_training.playground"
BASE = "playground-wan"
CONCEPTS = 512
RANKS: dict[Kind, int] = {"fill": 32, "consistent": 16, "composition": 8, "dynamic": 8}
"""In 192 channels. The paper's 8 is for a far wider model that draws grids by itself; here filling is all new to the model."""


def recipe_for(kind: Kind, minutes: float, seed: int = 0) -> Recipe:
    """Settings chosen for playground-wan on one core; what is not named here is the paper's.

    Of the words far fewer are left out than in the paper: the world says in one or two what is other in a cell.
    """
    targets = () if kind in ("fill", "dynamic", "composition") else ("to_q", "to_k", "to_v", "to_out.0")
    return Recipe(
        Budget(minutes),
        kind=kind,
        rank=RANKS[kind],
        targets=targets,
        dropout=0.0,
        rate=2e-3 if kind == "fill" else 1e-3,
        warm_steps=50,
        floor=0.02,
        longest=1.0,
        token_drop=0.1,
        shift=4.0,
        structured=True,
        stills=0.2,
        stills_first=0.3,
        short_until=0.6,
        batch=3,
        batch_of_stills=12,
        loss_every=25,
        seed=seed,
    )


def train_playground(
    folder: Path, work: Path, minutes: float, *, kind: Kind = "fill", seed: int = 0, concepts: int = CONCEPTS, samples: int = 0,
    recipe: Recipe | None = None, backbone: Backbone | None = None,
) -> Iterator[Event]:  # fmt: skip
    """Train an adapter for playground-wan on grids of 128 x 128 px, and keep it in `folder`.

    Yields what the training does. Closing the iterator stops and keeps what was learnt; another call with the same `work` goes on.

    Args:
        work: folder for caches and checkpoints.
        minutes: of training, after concepts have been drawn.
        concepts: how many are learnt from.
        samples: how many grids of the Grid LoRA in `folder` are learnt from too.
        recipe: other settings.
        backbone: playground-wan, if it is loaded already.
    """
    backbone, recipe = backbone or _load(), recipe or recipe_for(kind, minutes, seed)
    options = {"base": BASE, "work": work}
    if recipe.kind == "dynamic":
        from pipelines.methods.grid_training.dynamic import RecordedClips, train_concepts

        clips = RecordedClips(work, backbone)
        yield from clips.prepare()
        yield from train_concepts(backbone, clips, folder, recipe, **options)
        return
    source: Source = RecordedWorld(work, backbone, concepts, pairs=recipe.kind == "composition")
    if samples:
        from pipelines.methods.grid_training.samples import SampledGrids

        source = Mixed(source, SampledGrids(work, backbone, folder, samples), recipe.sampled)
    yield from source.prepare()
    yield from train(backbone, source, folder, recipe, **options)


def _load() -> Backbone:
    from pipelines.backbones import open_store

    return open_store().get(BASE)


def main() -> None:
    """Train, saying how it goes."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=train_playground.__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of training")
    parser.add_argument("--work", type=Path, default=Path("training/grid"), help="folder for caches and checkpoints")
    parser.add_argument("--out", type=Path, default=Path("assets/models/playground-grid"), help="folder of the adapters")
    parser.add_argument("--stage", choices=list(FILES), default="fill", help="which adapter")
    parser.add_argument("--concepts", type=int, default=CONCEPTS, help="how many are learnt from")
    parser.add_argument("--samples", type=int, default=0, help="grids drawn by the Grid LoRA in --out that are learnt from too")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    backbone = _load()
    options = {"kind": flags.stage, "seed": flags.seed, "concepts": flags.concepts, "samples": flags.samples}
    report(train_playground(flags.out, flags.work, flags.minutes, **options, backbone=backbone))
    write_recipe(flags.out / flags.stage, flags, backbone.device, module=MODULE)


if __name__ == "__main__":
    main()
