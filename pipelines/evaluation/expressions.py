"""Which expression the face in a clip has, told from near: of a whole picture a mouth is a few pixels, too few for the judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.judge import FOLDER
from pipelines.faces import Face, arcface_crop

if TYPE_CHECKING:
    from pipelines.playground.expressions import ExpressionNet


@dataclass(frozen=True)
class Expressions:
    """What `load` gives.

    Attributes:
        net: names what it is shown.
        names: of the expressions.
    """

    net: ExpressionNet
    names: tuple[str, ...]

    @staticmethod
    def load(folder: Path = FOLDER) -> Expressions:
        """The one that comes along with the judge."""
        from safetensors import safe_open

        from pipelines.playground.expressions import FILE, ExpressionNet

        with safe_open(folder / FILE, framework="pt") as stored:
            names = tuple(stored.metadata()["names"].split())
            net = ExpressionNet(len(names))
            net.load_state_dict({name: stored.get_tensor(name).float() for name in stored.keys()})  # noqa: SIM118
        return Expressions(net.eval(), names)

    def tell(self, clip: np.ndarray, faces: Sequence[Face | None]) -> str | None:
        """The expression that most frames of `clip` (T, H, W, 3) uint8 show, whose faces were found; None where there is none."""
        import torch

        from pipelines.playground.expressions import SIDE

        crops = [arcface_crop(frame, face.landmarks, SIDE) for frame, face in zip(clip, faces, strict=True) if face is not None]
        if not crops:
            return None
        values = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.no_grad():
            told = self.net(values).argmax(1).tolist()
        return self.names[Counter(told).most_common(1)[0][0]]
