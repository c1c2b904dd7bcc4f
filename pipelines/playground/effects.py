"""Weather, light and water over a drawn clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.playground.scene import Scene

Array = np.ndarray


@dataclass(frozen=True)
class Stage:
    scene: Scene
    masks: Array
    shift: Array
    zoom: Array

    @staticmethod
    def of(scene, masks, shift, zoom):
        return Stage(scene, masks, shift, zoom)


def apply_effects(picture: Array, stage: Stage) -> tuple[Array, Array]:
    return picture, np.zeros(stage.masks.shape[1:], np.float32)
