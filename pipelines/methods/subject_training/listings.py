"""Lists of data on disk, read row by row: JSON lines, and Parquet as data sets on the Hugging Face hub are kept. Rows are untrusted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.methods.subject_training.walk import LeftOut

Row = dict[str, Any]

LONGEST_LINE = 1_000_000
"""Bytes of a line that is read."""


def json_rows(file: Path, left_out: LeftOut) -> Iterator[Row]:
    """The objects in a file of JSON lines; lines that are none are counted in `left_out`."""
    with file.open("rb") as lines:
        while line := lines.readline(LONGEST_LINE):
            if not line.endswith(b"\n") and len(line) == LONGEST_LINE:
                left_out.add("a line is too long", file.name)
                while line and not line.endswith(b"\n"):
                    line = lines.readline(LONGEST_LINE)
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            elif line.strip():
                left_out.add("a line is no JSON object", file.name)


def parquet_rows(file: Path, columns: list[str]) -> Iterator[tuple[Row, Callable[[str], Any]]]:
    """Rows of a Parquet file with these columns, and what reads a cell of another column of the same row when it is needed."""
    reader = _parquet(file)
    for group in range(reader.num_row_groups):
        kept = [name for name in columns if name in reader.schema_arrow.names]
        for place, row in enumerate(reader.read_row_group(group, columns=kept).to_pylist()):
            yield row, lambda column, group=group, place=place: _cell(file, group, place, column)


_open: dict[tuple[Path, int, str], Any] = {}
"""The last columns that cells were read from: rows that are near each other are read together."""


def _cell(file: Path, group: int, place: int, column: str) -> Any:
    key = (file, group, column)
    if key not in _open:
        while len(_open) >= 4:
            _open.pop(next(iter(_open)))
        _open[key] = _parquet(file).read_row_group(group, columns=[column])[column]
    return _open[key][place].as_py()


def _parquet(file: Path) -> Any:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise UserError(f"{file.name} cannot be read as Parquet: download it again.") from error
