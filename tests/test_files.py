"""Names in requests: free on the command line, locked in for visitors."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.files import ANYWHERE, Files


def test_names_are_paths_without_a_root() -> None:
    assert ANYWHERE.find("pictures/a.png") == Path("pictures/a.png")
    assert ANYWHERE.find("~/a.png") == Path.home() / "a.png"
    assert ANYWHERE.find("~nobody-of-that-name/a.png").name == "a.png"


def test_names_stay_below_the_root(tmp_path: Path) -> None:
    assert Files(tmp_path).find("subjects/rex") == (tmp_path / "subjects" / "rex").resolve()


@pytest.mark.parametrize("name", ["", " ", ".", "..", "../other", "subjects/../../other", "/etc/passwd", "a\0b", "~/../../.."])
def test_nothing_leads_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        Files(tmp_path / "mine").find(name)


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "door").symlink_to(tmp_path)
    with pytest.raises(UserError, match="not one of yours"):
        Files(tmp_path / "mine").find("door/other")
