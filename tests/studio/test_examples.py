"""The clips that come with the project: of every kind, playable, small, and on the page as cards."""

from __future__ import annotations

from html import escape

from pipelines.video import read_clip
from studio.examples import FOLDER, cards, examples


def test_every_example_is_a_short_playable_clip() -> None:
    assert {"toy", "person"} <= {entry["kind"] for entry in examples()}
    for entry in examples():
        frames, fps = read_clip(FOLDER / entry["file"])
        assert fps == 8 and frames.shape[0] >= 17 and frames.shape[-1] == 3 and frames.std() > 10
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 700_000


def test_cards_carry_caption_and_file() -> None:
    html = cards()
    assert html.count("<button") == len(examples())
    assert all(entry["file"] in html and escape(entry["caption"]) in html for entry in examples())
