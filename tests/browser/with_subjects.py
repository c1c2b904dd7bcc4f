"""Runs app.py with an adapter for subjects from one picture, small and untrained: `python with_subjects.py LOG --home FOLDER [flags]`.

Trainings of adapters are procedural (`drawn_course`): they keep that adapter. Everything else is the product.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

import drawn_course  # noqa: E402

from pipelines import methods  # noqa: E402
from pipelines.methods.zero_shot_subject import adapters  # noqa: E402
from pipelines.models.adapters import AdapterEntry  # noqa: E402
from pipelines.models.registry import entry  # noqa: E402

HOME = Path(sys.argv[sys.argv.index("--home") + 1])
MODEL = "playground-cogvideox"


@dataclass(frozen=True)
class Small(AdapterEntry):
    """Lies where it was written."""

    place: Path = field(default=HOME)

    def folder(self) -> Path:
        return self.place


def written(folder: Path) -> Path:
    """The file of an adapter for the playground's model, not trained."""
    import torch

    from pipelines.backbones import loader
    from pipelines.backbones.adapters import lora, lora_weights, trainable
    from pipelines.methods.zero_shot_subject.card import Card
    from pipelines.methods.zero_shot_subject.weights import lora_config, save_adapter

    backbone, config, file = loader("cogvideox")(entry(MODEL).folder, "cpu", "cpu"), lora_config(4), folder / "adapter.safetensors"
    torch.manual_seed(5)
    with lora(backbone, config):
        for parameter in trainable(backbone):
            torch.nn.init.normal_(parameter, std=0.01)
        save_adapter(file, config, lora_weights(backbone), Card(base=MODEL))
    return file


file = written(HOME / "small-adapter")
small = Small("small", "Small", "Not trained: for a look at the page.", "Same as this project", MODEL, place=file.parent)
adapters.ADAPTERS = (small,)
real = methods.run


def run(request, store, files) -> Iterator:
    """Trainings of adapters are drawn, everything else is run."""
    return drawn_course.run(request, files, file) if request.method in drawn_course.ONE else real(request, store, files)


methods.run = run

import watched  # noqa: E402, F401  runs app.py
