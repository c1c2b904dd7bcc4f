"""The card of a trained video model, from recipe.json beside it and the report of `python -m pipelines evaluate playground`."""

from __future__ import annotations

import json
from pathlib import Path

TEMPLATE = """---
library_name: diffusers
pipeline_tag: text-to-video
---
# {name}

A small text-to-video model in the classes of {like} (`{pipeline}`), trained on the procedural world of `pipelines/playground`: toys of
{shapes} shapes, {colours} colours and {patterns} patterns, and people, in {places} places, with {effects} effects.
At home at {size} px and {frames} frames, 8 frames per second. It knows the world's few words and nothing else: other words are read letter
by letter and mean nothing to it.

```python
from diffusers import {pipeline}

pipeline = {pipeline}.from_pretrained("assets/models/{name}")
pipeline("a red ball bounces on a beach", height={height}, width={width}, num_frames={frames}, num_inference_steps={steps},
         guidance_scale={guidance:g}, max_sequence_length={tokens})
```

`max_sequence_length={tokens}` matters: the model was trained with as many text tokens. `latent_rgb.json` gives previews their colours.
No licence of others applies: the world is drawn by this repository's code, and no photograph or foreign weight was used.

## Figures

Measured by `python -m pipelines evaluate playground` on {captions} held-out scenes (seeds from 1,000,000), a {machine}.

| what | figure | bar | |
|---|---|---|---|
{rows}

## Training

{training}

Training scenes have seeds below 1,000,000. Rendered, trained and exported by `python -m pipelines.playground.train`; torch {torch}, {date}.
"""

LIKE = {"WanPipeline": "Wan2.1", "CogVideoXPipeline": "CogVideoX"}


def write_card(folder: Path, report: Path, training: str) -> None:
    """Write README.md of the model in `folder`; `training` says in words what was run."""
    from pipelines.models.registry import entry
    from pipelines.playground.vocabulary import COLOURS, EFFECTS, PATTERNS, PLACES, SHAPES

    figures, recipe = json.loads(report.read_text()), json.loads((folder / "recipe.json").read_text())
    pipeline = json.loads((folder / "model_index.json").read_text())["_class_name"]
    counts = {"shapes": SHAPES, "colours": COLOURS, "patterns": PATTERNS, "places": PLACES, "effects": EFFECTS}
    model = entry(folder.name)
    rows = [_row(row, folder.name) for row in figures["rows"] if row["name"].startswith(f"{folder.name}: ")]
    text = TEMPLATE.format(
        name=folder.name, like=LIKE[pipeline], pipeline=pipeline, rows="\n".join(rows), training=training, torch=recipe["torch"],
        date=recipe["date"], frames=model.default_frames, height=model.default_height, width=model.default_width,
        size=f"{model.default_width} x {model.default_height}", steps=model.default_steps, guidance=model.default_guidance,
        tokens=_tokens(folder), captions=figures["about"]["captions"], machine=figures["about"]["machine"],
        **{name: len(values) for name, values in counts.items()},
    )  # fmt: skip
    (folder / "README.md").write_text(text)


def _tokens(folder: Path) -> int:
    return json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())["model_max_length"]


def _row(row: dict, name: str) -> str:
    error = f" ± {row['standard_error']:.2g}" if row["standard_error"] else ""
    bar = f"{row['bar']:g}" if row["bar"] is not None else ""
    state = {True: "holds", False: "not reached", None: ""}[row["holds"]]
    return f"| {row['name'].removeprefix(name + ': ')} | {row['value']:.4g}{error} | {bar} | {state} |"
