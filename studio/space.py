"""The Spacefile describes the public deployment; the README's front matter is made from it.

`python -m studio.space` writes the front matter anew.
"""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
MARK = "---\n"


def front_matter(spacefile: str) -> str:
    """The README front matter, marks included, for the text of a Spacefile."""
    fields = yaml.safe_load(spacefile)["front_matter"]
    return MARK + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True) + MARK


def with_front_matter(readme: str, spacefile: str) -> str:
    """The README's text with its front matter replaced, or put in front if it has none."""
    body = readme.split(MARK, 2)[2] if readme.startswith(MARK) else readme
    return front_matter(spacefile) + body


def main() -> None:
    """Bring README.md up to date."""
    readme = ROOT / "README.md"
    readme.write_text(with_front_matter(readme.read_text(), (ROOT / "Spacefile").read_text()))


if __name__ == "__main__":
    main()
