"""The command line as tests call it."""

from __future__ import annotations

from pipelines.cli import main


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command; none of them may show a traceback."""
    try:
        code = main(list(map(str, arguments)))
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err
