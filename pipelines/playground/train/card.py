"""The cards of trained models, from the texts in cards/, recipe.json beside the weights and a report of `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

TEXTS = Path(__file__).parent / "cards"
LIKE = {"WanPipeline": "Wan2.1", "CogVideoXPipeline": "CogVideoX"}
ROWS = {
    "playground-judge": ("judge: ",),
    "playground-segmenter": ("segmenter: ",),
    "playground-faces": ("faces: ", "playground-faces: "),
    "playground-lynx": ("playground-wan: ",),
    "playground-subjects": ("playground-cogvideox: ",),
    "playground-grid": ("playground-wan: ",),
    "playground-upsampler": ("playground-wan: enlarged by ",),
}
"""Model -> how its rows in the report begin, where that is not with its name."""


def write_card(folder: Path, report: Path, training: str) -> None:
    """Write README.md of the model in `folder`; `training` says in words what was run."""
    recipe_file = min(folder.rglob("recipe.json"), key=lambda file: len(file.parts))  # of several stages, one is in a folder of its own
    figures, recipe = json.loads(report.read_text()), json.loads(recipe_file.read_text())
    prefixes = ROWS.get(folder.name, (f"{folder.name}: ",))
    rows = [_row(row, prefix) for row in figures["rows"] for prefix in prefixes if row["name"].startswith(prefix)]
    own = TEXTS / f"{folder.name}.md"
    end = (TEXTS / "end.md").read_text().format(
        captions="" if own.exists() else f" with {figures['about']['captions']} captions", machine=figures["about"]["machine"],
        rows="\n".join(rows), training=training, torch=recipe["torch"], date=recipe["date"],
        measure=figures["about"].get("what", "playground"), module=recipe.get("module", "pipelines.playground.train"),
    )  # fmt: skip
    (folder / "README.md").write_text((own.read_text() if own.exists() else _about_video_model(folder)) + "\n" + end)


def _about_video_model(folder: Path) -> str:
    from pipelines.models.registry import entry
    from pipelines.playground.vocabulary import COLOURS, EFFECTS, PATTERNS, PLACES, SHAPES

    pipeline = json.loads((folder / "model_index.json").read_text())["_class_name"]
    counts = {"shapes": SHAPES, "colours": COLOURS, "patterns": PATTERNS, "places": PLACES, "effects": EFFECTS}
    model = entry(folder.name)
    return (TEXTS / "video.md").read_text().format(
        name=folder.name, like=LIKE[pipeline], pipeline=pipeline, frames=model.default_frames, height=model.default_height,
        width=model.default_width, steps=model.default_steps, guidance=model.default_guidance, tokens=_tokens(folder),
        **{name: len(values) for name, values in counts.items()},
    )  # fmt: skip


def _tokens(folder: Path) -> int:
    return json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text())["model_max_length"]


def _row(row: dict, prefix: str) -> str:
    error = f" ± {row['standard_error']:.2g}" if row["standard_error"] else ""
    bar = f"{row['bar']:g}" if row["bar"] is not None else ""
    state = {True: "holds", False: "not reached", None: ""}[row["holds"]]
    return f"| {row['name'].removeprefix(prefix)} | {row['value']:.4g}{error} | {bar} | {state} |"
