"""The command line as a person meets it: flags, files, progress, exit codes, and never a traceback."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from pipelines.cli import main
from pipelines.cli.flags import read_settings
from pipelines.cli.interrupts import heed, interruptible
from pipelines.cli.report import human_bytes, human_seconds, progress_line
from pipelines.events import Progress
from pipelines.methods import REQUESTS
from pipelines.models.registry import entry
from pipelines.video import read_clip, read_request, write_clip

Generate = REQUESTS["generate"]
ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--width", "32", "--height", "32", "--frames", "5", "--steps", "2", "--seed", "3"]


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """Each test in a folder of its own, with a data home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))


def failure(capsys, *arguments):
    """Exit code and the one sentence of a command that fails."""
    code, out, err = run(capsys, *arguments)
    sentences = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code and out == "" and len(sentences) == 1 and err.splitlines()[-1] == sentences[0]
    return code, sentences[0].removeprefix("error: ")


# --- help and lists ------------------------------------------------------------------------------------------------


def test_help_is_quick_and_light():
    call = "try: main(['generate', '--help'])\nexcept SystemExit: pass\n"
    code = f"import sys; from pipelines.cli import main\n{call}sys.exit('torch' in sys.modules)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4, "seconds of work, however busy the machine is"
    assert "--negative-prompt" in done.stdout


@pytest.mark.parametrize("kind", REQUESTS.values(), ids=lambda kind: kind.method)
def test_every_setting_is_a_flag_with_its_help_and_limits(capsys, kind):
    code, out, _ = run(capsys, kind.method, "--help")
    words = " ".join(out.split())
    assert code == 0
    for name, row in kind.settings().items():
        assert f"--{name.replace('_', '-')} " in words
        assert f"{row['label']}. {row['help']}".strip() in words
    assert "16 to 2048" in words or "width" not in kind.settings()


def test_the_list_of_models(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0 and "wan2.1-14b" in out and "Apache-2.0" in out and "28.9 GB" in out
    for arguments in (("models", "--json"), ("models", "list", "--json"), ("models", "--json", "list")):
        rows = json.loads(run(capsys, *arguments)[1])
        assert [row["name"] for row in rows][:3] == ["playground-wan", "playground-cogvideox", "wan2.1-1.3b"]
        assert rows[2]["revision"] and rows[2]["on_disk"] is False


def test_models_that_cannot_be_fetched_or_deleted(capsys, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, text = failure(capsys, "models", "download", "wan2.1-1.3b")
    assert code == 1 and "cannot be reached: connect to the internet" in text
    assert failure(capsys, "models", "download", "nonsense")[1].startswith("There is no model called 'nonsense'")
    assert "was not downloaded" in failure(capsys, "models", "delete", "playground-wan")[1]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["generate", "--bogus"], ["generate", "--prom", "a"], ["models", "download"]])
def test_a_command_line_that_makes_no_sense_is_2(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == "" and err.startswith("usage: ")


# --- settings ------------------------------------------------------------------------------------------------------


def settings(*arguments):
    import argparse

    from pipelines.cli.method import method_command

    parser = argparse.ArgumentParser()
    method_command(Generate).add_arguments(parser)
    return read_settings(parser.parse_args(list(arguments)), Generate)


def test_a_model_brings_its_defaults_and_flags_win():
    request = settings("--model", "wan2.1-1.3b", "--steps", "7", "--negative-prompt", "rain", "--seed", "-1")
    assert (request.width, request.frames, request.fps) == (832, 81, 16)
    assert (request.steps, request.negative_prompt, request.seed) == (7, "rain", -1)
    assert settings().guidance == entry("playground-wan").default_guidance


def test_a_request_file_gives_everything_and_flags_win(tmp_path):
    saved = Generate.read({"prompt": "a ball", "seed": 9, "width": 96, "from_the_future": 1})
    Path("saved.json").write_text(saved.to_json())
    Path("fields.json").write_text('{"prompt": "a ball", "seed": 9, "width": 96, "from_the_future": 1}')
    clip = write_clip("clip.mp4", np.zeros((2, 16, 16, 3), np.uint8), 8, saved)
    for path in ("saved.json", "fields.json", str(clip)):
        assert settings("--request", path) == saved
        changed = settings("--request", path, "--seed", "1")
        assert (changed.seed, changed.width, changed.from_the_future) == (1, 96, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--width", "-64"], "Width must be 16 or more."),
        (["--height", "1000000000"], "Height must be 2048 or less."),
        (["--frames", "0"], "Frames must be 1 or more."),
        (["--steps", "many"], "Steps cannot be 'many'"),
        (["--guidance", "nan"], "Guidance"),
        (["--prompt", "x" * 10_000], "Prompt must have 2000 characters or fewer."),
        (["--out", "clip.avi"], "--out must end in .mp4, .gif, .png"),
    ],
)
def test_values_that_do_not_fit_are_2_and_one_sentence(capsys, arguments, words):
    code, text = failure(capsys, "generate", "--prompt", "a ball", *arguments)
    assert code == 2 and words in text


# --- a whole run ---------------------------------------------------------------------------------------------------


def test_a_clip_from_a_sentence(capsys, tiny_wan_folder):
    code, out, err = run(capsys, "generate", "--model", tiny_wan_folder, "--prompt", "a red ball", *SMALL, "--out", "a.mp4")
    assert (code, out) == (0, "a.mp4\n")
    frames, fps = read_clip("a.mp4")
    assert frames.shape == (5, 32, 32, 3) and fps == 8
    request = read_request("a.mp4")
    assert (request.prompt, request.seed, request.steps) == ("a red ball", 3, 2)
    assert "loading the model" in err and "seed 3" in err
    code, out, _ = run(capsys, "generate", "--request", "a.mp4", "--out", "b.png", "--quiet")
    assert code == 0 and read_request("b.png") == request


def test_json_lines_and_saved_previews(capsys, tiny_wan_folder):
    arguments = ["--model", tiny_wan_folder, "--prompt", "a red ball", *SMALL, "--json", "--previews", "seen"]
    code, out, _ = run(capsys, "generate", *arguments)
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and events[0]["event"] == "progress"
    previews = [event for event in events if event["event"] == "preview"]
    assert [event["step"] for event in previews] == [0, 1] and previews[0]["array"]["dtype"] == "uint8"
    assert all(read_clip(event["file"])[0].shape[0] == previews[0]["array"]["shape"][0] for event in previews)
    result = events[-1]
    assert result["event"] == "result" and result["frames"]["shape"] == [5, 32, 32, 3]
    assert result["request"]["request"]["seed"] == 3 and result["out"] == "generate-3.mp4"
    assert read_request(result["out"]).prompt == "a red ball"


def test_the_same_seed_gives_the_same_clip_and_names_stay_free(capsys, tiny_wan_folder):
    arguments = ["generate", "--model", tiny_wan_folder, "--prompt", "a red ball", *SMALL, "--quiet"]
    names = [run(capsys, *arguments)[1].strip() for _ in range(2)]
    assert names == ["generate-3.mp4", "generate-3-2.mp4"]
    assert np.array_equal(*(read_clip(name)[0] for name in names))


def test_sizes_that_do_not_fit_are_snapped_with_a_note(capsys, tiny_wan_folder):
    wanted = ["--width", "40", "--height", "33", "--frames", "6", "--steps", "1", "--seed", "3"]
    code, out, err = run(capsys, "generate", "--model", tiny_wan_folder, "--prompt", "a red ball", *wanted)
    frames, _ = read_clip(out.strip())
    assert code == 0 and "note: " in err
    assert frames.shape[1] % 16 == 0 and frames.shape[2] % 16 == 0 and frames.shape[0] % 4 == 1


def test_an_estimate_runs_nothing(capsys, tiny_wan_folder):
    arguments = ["generate", "--prompt", "a red ball", "--width", "40", "--estimate"]
    code, out, err = run(capsys, *arguments, "--model", tiny_wan_folder)
    assert code == 0 and err == "" and "note: Width 40 px" in out and " of memory" in out and "download" not in out
    row = json.loads(run(capsys, *arguments, "--model", "wan2.1-1.3b", "--json")[1])
    assert row["download_bytes"] == entry("wan2.1-1.3b").bytes and row["seconds"] > 0 and row["notes"]
    assert not list(Path().glob("*.mp4"))
    assert failure(capsys, "generate", "--estimate")[0] == 1


def test_unknown_words_are_no_reason_to_stop(capsys, tiny_wan_folder):
    code, *_ = run(capsys, "generate", "--model", tiny_wan_folder, "--prompt", "zyxwv \U0001f600 立方体 \u202e", *SMALL)
    assert code == 0


def test_an_existing_file_is_replaced_only_when_asked(capsys, tiny_wan_folder):
    Path("a.mp4").write_bytes(b"precious")
    arguments = ["generate", "--model", tiny_wan_folder, "--prompt", "a red ball", *SMALL, "--out", "a.mp4"]
    code, text = failure(capsys, *arguments)
    assert code == 1 and "exists already" in text and Path("a.mp4").read_bytes() == b"precious"
    assert run(capsys, *arguments, "--overwrite")[0] == 0 and read_request("a.mp4").seed == 3


# --- what can go wrong ---------------------------------------------------------------------------------------------


def test_an_empty_prompt(capsys, tiny_wan_folder):
    for prompt in ("", "   \n"):
        code, text = failure(capsys, "generate", "--model", tiny_wan_folder, "--prompt", prompt, *SMALL)
        assert code == 1 and "prompt" in text.lower()


def test_models_that_are_not_there(capsys, monkeypatch):
    assert failure(capsys, "generate", "--prompt", "a", "--model", "nonsense")[0] == 1
    code, text = failure(capsys, "generate", "--prompt", "a", "--model", "./missing/folder")
    assert code == 1 and "no model folder at missing/folder" in text
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, text = failure(capsys, "generate", "--prompt", "a", "--model", "wan2.1-1.3b")
    assert code == 1 and "cannot be reached: connect to the internet" in text
    assert "LTX-Video 2B" in failure(capsys, "generate", "--prompt", "a", "--model", "ltx-video")[1]


def test_truncated_weights(capsys, tiny_wan_folder, tmp_path):
    folder = shutil.copytree(tiny_wan_folder, tmp_path / "broken")
    weights = next((folder / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    code, text = failure(capsys, "generate", "--model", folder, "--prompt", "a red ball", *SMALL)
    assert code == 1 and weights.name in text and "damaged or incomplete" in text
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("name", ["notes.mp4", "notes.json", "notes.png"])
def test_a_request_source_that_is_none(capsys, name):
    Path(name).write_text("these are notes")
    code, text = failure(capsys, "generate", "--request", name, "--prompt", "a")
    assert code == 1 and name in text
    code, text = failure(capsys, "generate", "--request", "missing.mp4")
    assert code == 1 and "no file to read at missing.mp4" in text


def test_settings_of_a_file_that_are_out_of_range(capsys):
    Path("r.json").write_text('{"prompt": "a", "width": -1}')
    assert failure(capsys, "generate", "--request", "r.json") == (1, "Width must be 16 or more.")


def test_places_that_cannot_be_written(capsys):
    code, text = failure(capsys, "generate", "--prompt", "a", "--out", "missing/a.mp4")
    assert code == 1 and "Nothing can be written to missing" in text


@pytest.mark.parametrize("arguments", [["--device", "tpu"], ["--device", "cpu", "--placement", "low"], ["--placement", "fast"]])
def test_devices_that_are_not_there(capsys, tiny_wan_folder, arguments):
    code, _ = failure(capsys, "generate", "--model", tiny_wan_folder, "--prompt", "a red ball", *SMALL, *arguments)
    assert code == 1


def test_an_interrupt_cancels_and_leaves_no_half_file(tiny_wan_folder, tmp_path):
    command = [sys.executable, "-m", "pipelines", "generate", "--model", tiny_wan_folder, "--prompt", "a red ball"]
    command += ["--width", "64", "--height", "64", "--frames", "17", "--steps", "200", "--json", "--out", tmp_path / "a.mp4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while json.loads(process.stdout.readline())["event"] != "preview":
            pass
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        err = process.stderr.read()
        assert process.wait(20) == 130 and time.monotonic() - start < 20
    assert err == "Cancelled.\n", "no traceback and no noise of the libraries"
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*part"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_told_to_terminate_is_an_interrupt(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert signal.getsignal(number) is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_got_lost_is_heeded():
    class Interrupted:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    with interruptible():
        heed()
        Interrupted()  # what is raised in a destructor goes no further
        with pytest.raises(KeyboardInterrupt):
            heed()
    heed()


def test_an_interrupted_command_is_130(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.models.store.ModelStore.status", interrupt)
    assert run(capsys, "models") == (130, "", "Cancelled.\n")


def test_a_fault_of_ours_is_one_sentence_too(capsys, monkeypatch):
    def fault(*_):
        raise KeyError("here\nthere")

    monkeypatch.setattr("pipelines.models.store.ModelStore.status", fault)
    code, text = failure(capsys, "models")
    assert code == 1 and "Something went wrong inside (KeyError" in text and "--debug" in text
    assert "Traceback" in _with_traceback(capsys)


def _with_traceback(capsys):
    assert main(["models", "--debug"]) == 1
    return capsys.readouterr().err


def test_a_reader_that_goes_away(tmp_path):
    command = f"{sys.executable} -m pipelines generate --help | head -1; {sys.executable} -m pipelines models --json | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


# --- words ---------------------------------------------------------------------------------------------------------


def test_progress_in_words():
    assert progress_line(Progress("denoising", 3, 20, 75.2)) == "denoising 3/20, 1 min 15 s left"
    download = Progress("downloading", 1_200_000_000, 28_900_000_000, 4000, "bytes")
    assert progress_line(download) == "downloading 1.2 GB of 28.9 GB, 1 h 6 min left"
    assert progress_line(Progress("loading the model")) == "loading the model"
    assert (human_bytes(12), human_bytes(14_500_000), human_seconds(9.6)) == ("12 bytes", "14.5 MB", "10 s")
