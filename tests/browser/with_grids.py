"""Runs app.py with one grid adapter, small and untrained, in place of others: `python with_grids.py LOG --home FOLDER [flags of app.py]`.

Its weights are written under the home folder, for the playground's own model. Everything else is the product.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from small_adapter import MODEL, small  # noqa: E402

from pipelines.methods.grid import adapters  # noqa: E402
from pipelines.models.registry import entry  # noqa: E402

HOME = Path(sys.argv[sys.argv.index("--home") + 1])


def written(folder: Path) -> Path:
    """An adapter for the playground's model that changes nothing, as one is before its training."""
    from pipelines.backbones import loader
    from pipelines.backbones.adapters import lora, lora_weights
    from pipelines.methods.grid.card import Card
    from pipelines.methods.grid.names import FILES, QUERIES
    from pipelines.methods.grid.weights import ordinary
    from pipelines.methods.zero_shot_subject.weights import save_adapter

    backbone = loader("wan")(entry(MODEL).folder, "cpu", "cpu")
    config = ordinary(backbone, 2, QUERIES)
    with lora(backbone, config):
        save_adapter(folder / FILES["fill"], config, lora_weights(backbone), Card(base=MODEL))
    return folder


adapters.ADAPTERS = (small("playground-grid", written(HOME / "small-grid")),)

import watched  # noqa: E402, F401  runs app.py
