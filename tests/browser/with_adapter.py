"""Runs app.py with one more face adapter, small and untrained: `python with_adapter.py LOG --home FOLDER [other flags of app.py]`.

Its weights are written under the home folder in the layout of the released ones, for the playground's own model. Everything
else is the product.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from small_adapter import MODEL, small  # noqa: E402

from pipelines.methods.face_identity import adapters  # noqa: E402
from pipelines.models.registry import entry  # noqa: E402

HOME = Path(sys.argv[sys.argv.index("--home") + 1])


def written(folder: Path) -> Path:
    """An adapter for the playground's model, not trained."""
    import torch

    from pipelines.methods.face_identity.card import Card
    from pipelines.methods.face_identity.modules import FaceAdapter, ResamplerSizes, Sizes
    from pipelines.methods.face_identity.weights import save_adapter

    model = json.loads((entry(MODEL).folder / "transformer" / "config.json").read_text())
    width, blocks = model["num_attention_heads"] * model["attention_head_dim"], model["num_layers"]
    torch.manual_seed(5)
    resampler = ResamplerSizes(width=64, depth=1, heads=1, queries=4, output=width)
    sizes = Sizes(width=width, ip_layers=blocks, ref_layers=blocks, registers=2, resampler=resampler)
    adapter = FaceAdapter(sizes, Card(recogniser="playground-faces", crop=64, base=MODEL))
    for parameter in (*adapter.ip_layers.parameters(), *adapter.ref_layers.parameters()):
        parameter.data.normal_(std=0.004 / parameter.shape[-1] ** 0.5)
    save_adapter(adapter, folder)
    return folder


adapters.ADAPTERS = (small("small", written(HOME / "small-adapter")),)

import watched  # noqa: E402, F401  runs app.py
