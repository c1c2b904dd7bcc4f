"""`models download` and `models delete` against a hub on this machine."""

import json

from pipelines.cli import main


def test_download_list_delete(hub, hub_model, tmp_path, capsys):
    home = ["--home", str(tmp_path)]
    assert main(["models", "download", "tiny", *home]) == 0
    err = capsys.readouterr().err
    assert "downloading" in err and "6.0 MB of 6.0 MB" in err and f"Tiny is in {tmp_path / 'models' / 'tiny'}" in err
    main(["models", "--json", *home])
    row = next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "tiny")
    assert row["on_disk"] and row["bytes_on_disk"] > 6_000_000
    assert main(["models", "delete", "tiny", *home]) == 0 and "6.0 MB freed" in capsys.readouterr().out
    assert main(["models", "delete", "tiny", *home]) == 0 and "was not on disk" in capsys.readouterr().out


def test_download_as_json(hub, hub_model, tmp_path, capsys):
    assert main(["models", "download", "tiny", "--json", "--home", str(tmp_path)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["step"] == events[-1]["total"] and {event["unit"] for event in events} == {"bytes"}
