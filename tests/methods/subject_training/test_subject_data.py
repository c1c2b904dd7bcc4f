"""Data of one's own: read as it comes, from anywhere in it, in bounded memory, and whatever is hostile in it is left out and said."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.errors import UserError
from pipelines.methods.subject_training import clip_data
from pipelines.methods.subject_training.clip_data import Size, clip_listing, said
from pipelines.methods.subject_training.own import ENOUGH, HELD_OUT, Encoder, OwnExamples, jittered
from pipelines.methods.subject_training.pair_data import good, halves, pair_listing, prompted
from pipelines.methods.subject_training.walk import LeftOut, Walk, usable
from pipelines.video import write_clip

SIZE = Size(frames=5, height=32, width=48, fps=8)
FIVE = {"compositeStructure": 5, "objectConsistency": 5, "imageQuality": 5}


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the walk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [1, 7, 16, 40])
def test_every_epoch_has_every_entry_once_and_any_number_can_be_asked_for(total: int) -> None:
    walk = Walk(lambda: iter(range(total)), seed=3, block=8)
    order = [walk.at(number) for number in range(3 * total)]
    for epoch in range(3):
        assert sorted(order[epoch * total : (epoch + 1) * total]) == list(range(total))
    for number in (2 * total + total // 2, 0, 3 * total - 1, total):
        assert Walk(lambda: iter(range(total)), seed=3, block=8).at(number) == order[number] == walk.at(number)
    if total > 7:
        assert order[:total] != order[total : 2 * total] and order[:total] != list(range(total))
        assert [Walk(lambda: iter(range(total)), seed=4, block=8).at(number) for number in range(total)] != order[:total]


def test_the_first_are_passed_over_and_nothing_is_an_error() -> None:
    walk = Walk(lambda: iter(range(10)), seed=0, first=4)
    assert sorted(walk.at(number) for number in range(6)) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(UserError, match="nothing to learn"):
        Walk(lambda: iter(()), seed=0).at(0)


def test_a_listing_of_any_length_is_read_as_far_as_needed() -> None:
    read = itertools.count()
    walk = Walk(lambda: (next(read) for _ in itertools.count()), seed=0)
    assert walk.at(5) < 1024 and next(read) == 1024


def test_what_is_of_no_use_is_passed_over_counted_once_and_said() -> None:
    def use(entry: int) -> int:
        if entry % 3:
            return entry
        raise UserError(f"{entry} is no picture.")

    walk, left_out = Walk(lambda: iter(range(9)), seed=0), LeftOut()
    assert all(usable(walk, number, use, left_out) % 3 for number in range(90))
    assert left_out.reasons.total() == 3 and "3 examples were left out: it cannot be read, such as" in left_out.notes()[0]
    with pytest.raises(UserError, match="none can be used"):
        usable(Walk(lambda: iter((0, 3, 6)), seed=0), 0, use, LeftOut())


# --- Subjects200K ----------------------------------------------------------------------------------------------------


def side_by_side(left: int, right: int) -> np.ndarray:
    """As in the data set: two squares of 512 px with 8 px around and between them."""
    canvas = np.full((528, 1048, 3), 255, np.uint8)
    canvas[8:520, 8:520], canvas[8:520, 528:1040] = left, right
    return canvas


def rows(folder: Path, many: list[dict]) -> None:
    (folder / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))


def test_halves_are_the_two_pictures_without_their_border() -> None:
    left, right = halves(side_by_side(10, 200))
    assert left.shape == right.shape == (512, 512, 3) and (left == 10).all() and (right == 200).all()
    with pytest.raises(UserError, match="side by side"):
        halves(np.zeros((528, 800, 3), np.uint8))


def test_scores_below_five_are_left_out() -> None:
    assert good({"quality_assessment": FIVE}) and not good({"quality_assessment": FIVE | {"imageQuality": 4}})
    assert not good({}) and not good({"quality_assessment": {"imageQuality": 5}}) and not good({"quality_assessment": "5"})


def test_pairs_of_subjects200k_are_read_both_ways_round(tmp_path: Path) -> None:
    Image.fromarray(side_by_side(10, 200)).save(tmp_path / "a.png")
    words = {"item": "Oak Chair", "description_0": "A chair in a room.", "description_1": "An oak chair on a beach."}
    rows(tmp_path, [{"image": "a.png", "quality_assessment": FIVE, "description": words}])
    (entry,) = pair_listing(tmp_path, LeftOut())
    seen = {(int(pair.reference.mean()), int(pair.target.mean()), pair.prompt) for pair in map(entry.read, map(draw, range(12)))}
    assert seen == {(10, 200, "An <cls> oak chair on a beach."), (200, 10, "A <cls> chair in a room.")}


@pytest.mark.parametrize(
    ("text", "item", "expected"),
    [
        ("An armchair in the room", "armchair", "An <cls> armchair in the room"),
        ("A chair", "Eames Lounge Chair", "A <cls> chair"),
        ("It stands there", "chair", "a <cls> chair, It stands there"),
        ("", "dog", "a <cls> dog"),
        ("", "", "a <cls> subject"),
        ("a <cls> dog", "dog", "a <cls> dog"),
    ],
)
def test_prompts_say_where_the_subject_is(text: str, item: str, expected: str) -> None:
    assert prompted(text, item) == expected


def test_a_hostile_list_does_no_harm(tmp_path: Path) -> None:
    inside, left_out = tmp_path / "data", LeftOut()
    inside.mkdir()
    Image.fromarray(side_by_side(1, 2)).save(tmp_path / "secret.png")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    names = ["../secret.png", str(tmp_path / "secret.png"), "link.png", "none.png", "", "a\0b", 7, "x" * 5000, None]
    rows(inside, [{"image": name, "quality_assessment": FIVE} for name in names])
    with (inside / "list.jsonl").open("a") as file:
        file.write("[1]\nnot json\n\n" + "[" * 100_000 + "\n" + '{"a": "' + "x" * 2_000_000 + '"}\n')
    for entry in pair_listing(inside, left_out):
        with pytest.raises(UserError):
            entry.read(draw())
    assert left_out.reasons["a row names no picture"] == 5 and left_out.reasons["a line is too long"] == 1
    assert left_out.reasons["a line is no JSON object"] >= 1


def test_pairs_of_subjects200k_in_parquet(tmp_path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    rows = []
    for number in range(7):
        data = io.BytesIO()
        Image.fromarray(side_by_side(number, 100 + number)).save(data, "PNG")
        words = {"item": "mug", "description_0": "a mug", "description_1": f"mug {number}"}
        scores = FIVE | {"imageQuality": 3 if number == 2 else 5}
        rows.append({"image": {"bytes": data.getvalue(), "path": "x"}, "quality_assessment": scores, "description": words})
    rows.append({"image": {"bytes": b"none", "path": "x"}, "quality_assessment": FIVE, "description": None})
    (tmp_path / "data").mkdir()
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "data" / "train-0.parquet", row_group_size=3)
    *entries, bad = pair_listing(tmp_path, LeftOut())
    assert len(entries) == 6
    for number, entry in zip((0, 1, 3, 4, 5, 6), entries, strict=True):
        seen = {(int(pair.reference.mean()), pair.prompt) for pair in map(entry.read, map(draw, range(12)))}
        assert seen == {(number, f"<cls> mug {number}"), (100 + number, "a <cls> mug")}
    with pytest.raises(UserError, match="cannot be read"):
        bad.read(draw())
    (tmp_path / "data" / "broken.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="Parquet"):
        list(pair_listing(tmp_path, LeftOut()))


def test_a_long_list_begins_at_once_and_takes_no_memory(tmp_path: Path) -> None:
    description = {"item": "chair", "description_0": "A chair " * 20, "description_1": "A chair " * 20}
    line = json.dumps({"image": "a.png", "quality_assessment": FIVE, "description": description}) + "\n"
    (tmp_path / "list.jsonl").write_text(line * 200_000)
    walk = Walk(partial(pair_listing, tmp_path, LeftOut()), seed=0)
    began = time.process_time()
    walk.at(0), walk.at(50_000)  # to begin, and to go on far within
    assert time.process_time() - began < 20
    tracemalloc.start()
    Walk(partial(pair_listing, tmp_path, LeftOut()), seed=0).at(5000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20


# --- folders of subjects ---------------------------------------------------------------------------------------------


def test_a_folder_for_each_subject(tmp_path: Path) -> None:
    for subject, colours in {"red-mug": (200, 210, 220), "lonely": (5,)}.items():
        (tmp_path / subject).mkdir()
        for colour in colours:
            Image.fromarray(np.full((64, 80, 3), colour, np.uint8)).save(tmp_path / subject / f"{colour}.png")
            (tmp_path / subject / f"{colour}.txt").write_text(f"a red mug in room {colour}")
    left_out = LeftOut()
    (entry,) = pair_listing(tmp_path, left_out)
    for seed in range(8):
        pair = entry.read(draw(seed))
        assert pair.reference.mean() != pair.target.mean() and pair.prompt == f"a <cls> red mug in room {int(pair.target.mean())}"
    assert left_out.reasons == {"a folder holds fewer than two pictures": 1}
    (tmp_path / "red-mug" / "class.txt").write_text("mug")
    assert "red <cls> mug" in entry.read(draw()).prompt
    with pytest.raises(UserError, match="no folder"):
        list(pair_listing(tmp_path / "nowhere", left_out))


# --- clips -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(file, np.stack([np.full((48, 64, 3), 20 * index, np.uint8) for index in range(9)]), 8)
    return file.read_bytes()


def member(shard: tarfile.TarFile, name: str, data: bytes = b"", **more) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    shard.addfile(info, io.BytesIO(data))


def test_clips_in_folders_and_shards_are_the_same(tmp_path: Path, mp4: bytes) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.mp4").write_bytes(mp4)
    (tmp_path / "more" / "a.txt").write_text("grey  gets\nlighter")
    with tarfile.open(tmp_path / "shard-000.tar", "w") as shard:
        member(shard, "b.mp4", mp4)
        member(shard, "b.json", b'{"caption": "grey gets lighter"}')
        member(shard, "words/c.txt", b"grey gets lighter")
        member(shard, "words/c.mp4", mp4)
    left_out = LeftOut()
    entries = list(clip_listing(tmp_path, left_out))
    assert [entry.caption for entry in entries] == ["grey gets lighter"] * 3 and not left_out.reasons
    first, *others = [entry.read(SIZE) for entry in entries]
    assert first.shape == (5, 32, 48, 3) and all(np.array_equal(first, other) for other in others)
    assert first[-1].mean() > first[0].mean() + 40


def test_a_hostile_shard_does_no_harm(tmp_path: Path, mp4: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_data, "LARGEST_CLIP", len(mp4) + 10)
    inside, left_out = tmp_path / "data", LeftOut()
    inside.mkdir()
    with tarfile.open(inside / "a.tar", "w") as shard:
        for name in ("../../out.mp4", "/tmp/out.mp4"):
            member(shard, name, mp4)
            member(shard, name.replace("mp4", "txt"), b"words")
        member(shard, "link.mp4", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        member(shard, "device.mp4", type=tarfile.CHRTYPE)
        member(shard, "large.mp4", mp4 + bytes(100))
        member(shard, "silent.mp4", mp4)
        member(shard, "good.mp4", mp4)
        member(shard, "good.txt", b"words \xff")
        member(shard, "script.py", b"import os")
        member(shard, "none.mp4", b"no clip")
        member(shard, "none.txt", b"words")
    (inside / "b.tar").write_bytes((inside / "a.tar").read_bytes()[: len(mp4) // 2])
    (inside / "c.tar").write_bytes(b"no shard")
    (tmp_path / "secret.mp4").write_bytes(mp4)
    (inside / "away.mp4").symlink_to(tmp_path / "secret.mp4")
    before = sorted(tmp_path.rglob("*"))
    entries = list(clip_listing(inside, left_out))
    assert [entry.caption for entry in entries] == ["words \ufffd", "words"]
    assert entries[0].read(SIZE).shape == (5, 32, 48, 3)
    with pytest.raises(UserError):
        entries[1].read(SIZE)
    assert left_out.reasons["a member's name leads out of the shard"] >= 4 and left_out.reasons["a clip has no caption"] == 1
    assert left_out.reasons["a member of a shard is no plain file"] == 2 and left_out.reasons["it lies outside of the folder"] == 1
    assert left_out.reasons["a member of a shard has a size that cannot be"] >= 1 and left_out.reasons["a shard is damaged"] >= 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_header_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**30
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(2**30 + 4096)
    left_out = LeftOut()
    tracemalloc.start()
    assert list(clip_listing(tmp_path, left_out)) == []
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert left_out.reasons == {"a shard is damaged": 1}


def test_captions() -> None:
    assert said(b"a\n b ", ".txt") == "a b" and said(b'{"text": "a", "x": 1}', ".json") == "a"
    assert said(b'{"text": 5}', ".json") == said(b"[", ".json") == said(b"[1]", ".json") == ""
    assert len(said(b"a" * 10_000, ".txt")) == 2000


# --- as examples -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path, mp4: bytes) -> tuple[Path, Path]:
    pairs, clips = tmp_path / "pairs", tmp_path / "clips"
    for subject in range(3):
        (pairs / f"mug {subject}").mkdir(parents=True)
        for number in range(2):
            pixels = draw(10 * subject + number).integers(0, 255, (64, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(pairs / f"mug {subject}" / f"{number}.png")
    (pairs / "mug 0" / "broken.png").write_text("no picture")
    clips.mkdir()
    for number in range(2):
        (clips / f"{number}.mp4").write_bytes(mp4)
        (clips / f"{number}.txt").write_text("a red ball")
    return pairs, clips


def test_examples_are_the_same_for_the_same_numbers_and_kept_ones_are_the_same(cogvideox, tmp_path: Path, folders) -> None:
    plain = OwnExamples(*folders, SIZE, Encoder(cogvideox))
    kept = [OwnExamples(*folders, SIZE, Encoder(cogvideox, tmp_path / "cache")) for _ in range(2)]
    for number in (4, 0):
        pairs, clips = plain.pairs(1, number, 3), plain.clips(1, number, 2)
        assert pairs.reference.shape == pairs.target.shape == (3, 4, 1, 8, 12) and len(pairs.text) == 3
        assert clips.target.shape == (2, 4, 2, 8, 12) and clips.frames.shape == (2, 2, 4, 1, 8, 12)
        for other in kept:
            for batch, same in ((pairs, other.pairs(1, number, 3)), (clips, other.clips(1, number, 2))):
                assert all(torch.equal(one, two) for one, two in zip(batch, same, strict=True) if one is not None)
    assert any((tmp_path / "cache").rglob("*.safetensors"))
    assert all(map(torch.equal, plain.held_out(2)[0][:3], plain.held_out(2)[0][:3]))
    assert any("broken.png" in note for note in plain.notes())


def test_a_cache_takes_no_more_than_it_may(cogvideox, tmp_path: Path) -> None:
    encoder = Encoder(cogvideox, tmp_path, most=1)
    frames = [draw(seed).integers(0, 255, (1, 32, 48, 3), dtype=np.uint8) for seed in range(3)]
    made = [encoder(one) for one in frames]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(b"broken")
    assert all(map(torch.equal, made, map(Encoder(cogvideox, tmp_path), frames)))


def test_those_that_gradients_are_looked_at_with_are_not_learnt_from(cogvideox, tmp_path: Path) -> None:
    for subject in range(ENOUGH + 1):
        (tmp_path / f"{subject:03d}").mkdir()
        for number in range(2):
            Image.fromarray(np.full((64, 64, 3), 6 * subject, np.uint8)).save(tmp_path / f"{subject:03d}" / f"{number}.png")
    source = OwnExamples(tmp_path, None, SIZE, Encoder(cogvideox))
    held, learnt = source.held_out(HELD_OUT)[0].target, source.pairs(0, 0, ENOUGH + 1 - HELD_OUT).target
    assert len(held) == HELD_OUT and not any(torch.equal(one, other) for one in held for other in learnt)
    assert source.clips(0, 0, 2).target.shape == (2, 4, 1, 8, 12)


def test_jitter_cuts_a_part_of_a_view() -> None:
    picture = np.tile(np.arange(128, dtype=np.uint8)[:, None, None], (1, 128, 3))
    views = [jittered(picture, Size(1, 64, 64, 8), draw(seed)) for seed in range(20)]
    assert all(view.shape == (64, 64, 3) for view in views) and len({int(view[0, 0, 0]) for view in views}) > 3
    assert all(int(view[-1, 0, 0]) - int(view[0, 0, 0]) > 100 for view in views)
