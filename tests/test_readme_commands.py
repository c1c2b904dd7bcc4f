"""What the README tells people to type is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipelines.cli import build_parser

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [line for line in LINES if line.startswith("python -m pipelines ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_line_knows_it(line: str) -> None:
    words = shlex.split(line, comments=True)[3:]
    assert build_parser().parse_args(words).command == words[0]


def test_there_is_something_to_type() -> None:
    assert len(COMMANDS) >= 10
