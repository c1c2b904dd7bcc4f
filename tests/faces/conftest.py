"""Rendered people and the packs that come with the project."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from pipelines.faces import Detector, pack
from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import TRAIN_SEEDS, sample_scene

SIDES = (64, 96, 128)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector.open(pack().find(), "cpu")


@pytest.fixture(scope="session")
def people() -> list[Rendering]:
    """Nine people of training seeds without an effect in front of them, at 64, 96 and 128 pixels in turn."""
    scenes = [scene for scene in (sample_scene(seed, "person") for seed in TRAIN_SEEDS[700:760]) if not scene.effects][:9]
    return [render(scene, 1, SIDES[index % 3], SIDES[index % 3]) for index, scene in enumerate(scenes)]


@pytest.fixture(scope="session")
def portraits(people: list[Rendering]) -> list[np.ndarray]:
    """Three of them, 128 x 128."""
    return [person.frames[0] for person in people[2::3]]
