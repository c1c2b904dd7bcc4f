"""What the names of files and folders in a request stand for: paths on the command line, a visitor's own things in the studio."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError


@dataclass(frozen=True)
class Files:
    """Finds files by the names that requests give them.

    Attributes:
        root: folder that names are relative to and cannot leave; None: names are paths of this machine.
    """

    root: Path | None = None

    def find(self, name: str) -> Path:
        """Where `name` is, or would be; it need not exist. Raises UserError for a name that leads out of the root."""
        if "\0" in name or not name.strip():
            raise UserError("A file is not named: choose it again.")
        if self.root is None:
            return Path(os.path.expanduser(name))  # pathlib's raises for a user that does not exist
        root = self.root.resolve()
        path = (root / name).resolve()
        if path == root or not path.is_relative_to(root):
            raise UserError("That file is not one of yours: choose it again.")
        return path


ANYWHERE = Files()
"""Names are paths of this machine."""
