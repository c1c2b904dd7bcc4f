"""README and Spacefile say the same of the deployment."""

from __future__ import annotations

from pathlib import Path

import gradio

from studio.space import front_matter, with_front_matter

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_carries_the_spacefile() -> None:
    readme, spacefile = (ROOT / "README.md").read_text(), (ROOT / "Spacefile").read_text()
    assert with_front_matter(readme, spacefile) == readme, "run python -m studio.space"
    assert readme.startswith(front_matter(spacefile))


def test_front_matter_is_put_in_front_once() -> None:
    spacefile = "front_matter:\n  title: T\n"
    once = with_front_matter("# Hello\n", spacefile)
    assert once == "---\ntitle: T\n---\n# Hello\n"
    assert with_front_matter(once, spacefile) == once


def test_the_space_runs_the_same_gradio_generation() -> None:
    assert f"sdk_version: {gradio.__version__.split('.')[0]}." in (ROOT / "Spacefile").read_text()
