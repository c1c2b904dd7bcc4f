"""The card of a trained model, from recipe.json beside it and the report of `python -m pipelines evaluate playground`."""

from __future__ import annotations

import json
from pathlib import Path

TEMPLATE = """---
library_name: diffusers
pipeline_tag: text-to-video
---
# {name}

A small text-to-video model in the classes of Wan2.1 (`WanPipeline`), trained on the procedural toy world of `pipelines/playground`:
one toy of {shapes} shapes, {colours} colours and {patterns} patterns, doing one of {motions} motions in one of {places} places.
Clips of {frames} frames at {size} x {size} px, 8 frames per second. It knows the world's few words and nothing else: other words are
read letter by letter and mean nothing to it.

```python
from diffusers import WanPipeline

pipeline = WanPipeline.from_pretrained("assets/models/{name}")
pipeline("a red ball bounces on a beach", height={size}, width={size}, num_frames={frames}, num_inference_steps=20,
         guidance_scale=4.0, max_sequence_length=64)
```

`max_sequence_length=64` matters: the model was trained with as many text tokens. `latent_rgb.json` turns latents into preview colours.

## Figures

Measured by `python -m pipelines evaluate playground` on {captions} held-out scenes (seeds from 1,000,000), a {machine}.

| what | figure | bar | |
|---|---|---|---|
{rows}

## Training

{training}

Training scenes: seeds 0 to {last_seed}. Rendered, trained and exported by `python -m pipelines.playground.train`; torch {torch}, {date}.
"""


def write_card(folder: Path, report: Path, training: str) -> None:
    """Write README.md of the model in `folder`; `training` says in words what was run."""
    from pipelines.playground.vocabulary import COLOURS, MOTIONS, PATTERNS, PLACES, SHAPES

    figures, recipe = json.loads(report.read_text()), json.loads((folder / "recipe.json").read_text())
    counts = {"shapes": SHAPES, "colours": COLOURS, "patterns": PATTERNS, "motions": MOTIONS, "places": PLACES}
    flags = recipe["flags"]
    text = TEMPLATE.format(
        name=folder.name, rows="\n".join(_row(row) for row in figures["rows"]), training=training,
        torch=recipe["torch"], date=recipe["date"], frames=flags["frames"], size=flags["size"],
        last_seed=flags["clips"] - 1, captions=figures["about"]["captions"],
        machine=figures["about"]["machine"], **{name: len(values) for name, values in counts.items()},
    )  # fmt: skip
    (folder / "README.md").write_text(text)


def _row(row: dict) -> str:
    error = f" ± {row['standard_error']:.2g}" if row["standard_error"] else ""
    bar = f"{row['bar']:g}" if row["bar"] is not None else ""
    state = {True: "holds", False: "not reached", None: ""}[row["holds"]]
    return f"| {row['name']} | {row['value']:.4g}{error} | {bar} | {state} |"
