"""A subject as one file: a zip of its folder, written for others and read from anybody."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from pipelines.errors import UserError
from pipelines.methods.subject_adaptation.pictures import read_picture
from pipelines.methods.subject_adaptation.subject import ADAPTER, CARD, REFERENCES, TOKEN, Subject, read_subject, read_token

PARTS = re.compile(rf"{re.escape(CARD)}|{re.escape(ADAPTER)}|{re.escape(TOKEN)}|{REFERENCES}/\d{{2}}\.png")
"""What belongs to a subject; checkpoints and anything else stay behind."""

NEEDED = (CARD, ADAPTER, TOKEN)
MOST_BYTES = 2_000_000_000
"""Of all parts unpacked: an adapter of rank 1024 for the largest model is smaller."""

MOST_FILES = 64


def pack(folder: Path, file: Path) -> Path:
    """Write the subject in `folder` to `file`, whole or not at all; raises UserError if it is damaged."""
    read_subject(folder)
    parts = [path for path in sorted(folder.rglob("*")) if path.is_file() and PARTS.fullmatch(path.relative_to(folder).as_posix())]
    partial = file.with_name(file.name + ".part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for path in parts:
                archive.write(path, path.relative_to(folder).as_posix())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    return file


def unpack(file: Path, folder: Path) -> Subject:
    """Make `folder` from a zip; it is there whole and checked, or not at all.

    Names are compared with those of a subject's parts, so none can lead elsewhere; sizes are counted while unpacking, whatever
    the zip says of them. Raises UserError for a file that is no subject, is damaged or too large, and if `folder` exists.
    """
    if folder.exists():
        raise UserError(f"There is a subject called {folder.name} already: rename or delete it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".importing-", dir=folder.parent))
    try:
        _extract(file, fresh)
        subject = check_folder(fresh)
        os.replace(fresh, folder)
        return subject
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_folder(folder: Path) -> Subject:
    """The card in `folder`, after all of its parts have been read; raises UserError naming what is wrong."""
    from pipelines.backbones.adapters import read_lora

    subject = read_subject(folder)
    read_token(folder, subject)
    read_lora(folder / ADAPTER)
    for path in sorted((folder / REFERENCES).glob("*.png")):
        if problem := read_picture(path).problem:
            raise UserError(problem)
    return subject


def _extract(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if PARTS.fullmatch(member.filename)]
            if not set(NEEDED) <= {member.filename for member in members} or len(members) > MOST_FILES:
                raise UserError(f"{file.name} is no subject: choose a zip that was exported here.")
            left = MOST_BYTES
            for member in members:
                left = _copy(archive, member, folder / member.filename, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise UserError(f"{file.name} cannot be read as a zip: export the subject again.") from error


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int) -> int:
    """Unpack one member piece by piece; returns how many bytes may still come."""
    path.parent.mkdir(exist_ok=True)
    with archive.open(member) as source, open(path, "wb") as target:
        while piece := source.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise UserError("The zip is larger than any subject: choose another file.")
            target.write(piece)
    return left
