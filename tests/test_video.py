"""Clips: what is written can be played and read back, the request travels along, hostile files are one sentence."""

import json
import struct
import subprocess
import time
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.errors import NotAvailable, UserError
from pipelines.methods import REQUESTS
from pipelines.video import Limits, read_clip, read_request, write_clip

Generate = REQUESTS["generate"]
REQUEST = Generate.read({"prompt": 'a "red" cube,\nor a Würfel 立方体 \U0001f600', "seed": 7, "later_field": {"kept": [1, 2]}})
WHOLE = ("clip.mp4", "clip.gif", "clip.png")


def moving(frames=9, height=64, width=64):
    """A bright square that moves over a smooth ground."""
    y, x = np.mgrid[:height, :width]
    clip = np.stack([np.stack([255 * x / width, 255 * y / height, np.full_like(x, 90)], -1)] * frames).astype(np.uint8)
    for index in range(frames):
        clip[index, 4:12, 2 * index : 2 * index + 8] = (255, 30, 30)
    return clip


def sentence(error) -> str:
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 250
    return text


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("fps", [8, 12])
def test_clips_come_back(tmp_path, name, fps):
    clip = moving()
    path = write_clip(tmp_path / name, clip, fps, REQUEST)
    frames, rate = read_clip(path)
    assert frames.shape == clip.shape and frames.dtype == np.uint8 and rate == fps
    error = np.abs(frames.astype(int) - clip).mean()
    assert error < {"clip.mp4": 3, "clip.gif": 8, "clip.png": 1e-9}[name]
    assert [entry.name for entry in tmp_path.iterdir()] == [name], "no temporary file is left"


@pytest.mark.parametrize("name", WHOLE)
def test_the_request_comes_back_with_every_field(tmp_path, name):
    path = write_clip(tmp_path / name, moving(), 8, REQUEST)
    restored = read_request(path)
    assert restored == REQUEST and restored.later_field == {"kept": [1, 2]}


def test_equal_frames_are_not_lost(tmp_path):
    clip = moving()[[0, 0, 0, 1, 2, 2]]
    for name in WHOLE:
        assert len(read_clip(write_clip(tmp_path / name, clip, 8))[0]) == 6


def test_a_browser_can_play_the_mp4(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", moving(), 8, REQUEST)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frame = next(container.decode(stream))
        assert int(frame.colorspace) == 1 and int(frame.color_range) == 1, "BT.709, limited range"
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat"), "the index comes first"


def test_colours_and_small_details_stay(tmp_path):
    clip = np.zeros((5, 32, 32, 3), np.uint8)
    for corner, colour in zip([(0, 0), (0, 16), (16, 0), (16, 16)], [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], strict=True):
        clip[:, corner[0] : corner[0] + 16, corner[1] : corner[1] + 16] = colour
    frames, _ = read_clip(write_clip(tmp_path / "clip.mp4", clip, 8))
    assert np.abs(frames.astype(int) - clip)[:, 4:12, 4:12].max() < 6
    assert np.abs(frames.astype(int) - clip)[:, 20:28, 20:28].max() < 6


@pytest.mark.parametrize(("height", "width"), [(63, 65), (1, 1), (2, 2), (17, 16)])
def test_odd_and_tiny_sizes(tmp_path, height, width):
    clip = np.resize(moving(), (3, height, width, 3))
    frames, _ = read_clip(write_clip(tmp_path / "clip.mp4", clip, 8))
    assert frames.shape == (3, height + height % 2, width + width % 2, 3)
    assert read_clip(write_clip(tmp_path / "clip.png", clip, 8))[0].shape == clip.shape


def test_a_single_frame_is_a_still_png(tmp_path):
    path = write_clip(tmp_path / "still.png", moving(1), 8, REQUEST)
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == 1
    assert read_clip(path)[0].shape == (1, 64, 64, 3) and read_request(path) == REQUEST


@pytest.mark.parametrize("name", ["clip.avi", "clip", "clip.mp4.exe"])
def test_an_unknown_suffix(tmp_path, name):
    with pytest.raises(UserError, match=r"ends in \.mp4, \.gif, \.png") as caught:
        write_clip(tmp_path / name, moving(), 8)
    sentence(caught)


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="cannot be written") as caught:
        write_clip(tmp_path / "missing" / "clip.mp4", moving(), 8)
    sentence(caught)
    with pytest.raises(ValueError, match="frames must be"):
        write_clip(tmp_path / "clip.mp4", moving().astype(float), 8)
    assert not list(tmp_path.iterdir())


def test_an_existing_clip_survives_a_failure(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "clip.mp4", moving(), 8, REQUEST)
    before = path.read_bytes()
    monkeypatch.setattr("pipelines.video.write._encoder_options", lambda frames: {"x264-params": "keyint=nonsense", "profile": "none"})
    with pytest.raises(UserError):
        write_clip(path, moving(), 8)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_settings_from_json(tmp_path):
    path = tmp_path / "request.json"
    path.write_text(REQUEST.to_json())
    assert read_request(path) == REQUEST


# --- files that people bring ---------------------------------------------------------------------------------------


def png(width, height, *chunks):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*each) for each in chunks) + pixels + chunk(b"IEND", b"")


def box(name, data):
    return struct.pack(">I", len(data) + 8) + name + data


def mp4_with_comment(comment: bytes):
    data = box(b"data", struct.pack(">II", 1, 0) + comment)
    meta = box(b"meta", b"\0" * 4 + box(b"ilst", box(b"\xa9cmt", data)))
    return box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", box(b"udta", meta)) + box(b"mdat", b"")


HOSTILE = {
    "text.mp4": b"just a text file that somebody renamed",
    "empty.mp4": b"",
    "zeros.mp4": b"\0" * 4096,
    "playlist.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "hls.mp4": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret\n",
    "head only.mp4": box(b"ftyp", b"isom\0\0\0\0"),
    "lying box.mp4": box(b"ftyp", b"isom\0\0\0\0") + struct.pack(">I4s", 2**31, b"moov") + b"\0" * 64,
    "endless boxes.mp4": box(b"ftyp", b"isom\0\0\0\0") + box(b"free", b"") * 30_000,
    "huge.png": png(2**31 - 1, 2**31 - 1),
    "large.png": png(20_000, 20_000),
    "long.png": png(16, 16, (b"tEXt", b"comment\0" + b"a" * 10 * 2**20)),
    "cut.png": png(16, 16)[:-20],
    "lying chunk.png": png(16, 16)[:33] + struct.pack(">I4s", 2**31, b"tEXt") + png(16, 16)[-12:],
    "huge.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0" + b";",
    "text.gif": b"GIF89a and then nothing of the kind;",
    "long.mp4": mp4_with_comment(b"a" * 10 * 2**20),
    "binary.mp4": mp4_with_comment(b"\xff\xfe\x00"),
    "deep.json": b'{"a":' * 100_000,
    "webm.mp4": b"\x1a\x45\xdf\xa3" + b"\0" * 100,
}


PAIRS = [(name, read) for name in HOSTILE for read in (read_request, read_clip) if (name, read) != ("long.png", read_clip)]


@pytest.mark.parametrize(("name", "read"), PAIRS)
def test_hostile_files_are_one_sentence(tmp_path, name, read, recwarn):
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        read(path)
    sentence(caught)
    assert time.monotonic() - start < 20 and not recwarn.list


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("read", [read_request, read_clip])
def test_a_cut_off_clip_is_one_sentence(tmp_path, name, keep, read):
    path = write_clip(tmp_path / name, moving(), 8, REQUEST)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UserError, match="damaged or cut off") as caught:
        read(path)
    sentence(caught)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_never_escape_as_another_error(tmp_path, name, seed):
    path = write_clip(tmp_path / name, moving(), 8, REQUEST)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    random = np.random.default_rng(seed)
    data[random.integers(12, len(data), 40)] = random.integers(0, 256, 40)
    path.write_bytes(data.tobytes())
    for read in (read_request, read_clip):
        try:
            read(path)
        except UserError as error:
            assert "\n" not in str(error)


def test_a_clip_of_somebody_else_has_no_settings(tmp_path):
    for name in WHOLE:
        with pytest.raises(UserError, match="carries no Likeness settings"):
            read_request(write_clip(tmp_path / name, moving(), 8))
    (tmp_path / "other.mp4").write_bytes(mp4_with_comment(json.dumps({"method": "unheard of", "request": {}}).encode()))
    with pytest.raises(UserError, match="carries no Likeness settings"):
        read_request(tmp_path / "other.mp4")


def test_settings_out_of_range_name_the_field(tmp_path):
    text = json.dumps({"method": "generate", "request": {"prompt": "a", "width": -5}})
    (tmp_path / "bad.mp4").write_bytes(mp4_with_comment(text.encode()))
    with pytest.raises(UserError, match="Width must be 16 or more"):
        read_request(tmp_path / "bad.mp4")


@pytest.mark.parametrize("name", WHOLE)
def test_limits(tmp_path, name):
    path = write_clip(tmp_path / name, moving(9), 8)
    assert len(read_clip(path, Limits(frames=9))[0]) == 9
    for limits, words in [
        (Limits(frames=8), "too long"),
        (Limits(pixels=64 * 63), "too large"),
        (Limits(decoded_bytes=9 * 64 * 64 * 3 - 1), "too long"),
        (Limits(seconds=-1), "too long"),
        (Limits(file_bytes=100), "larger than"),
    ]:
        with pytest.raises(UserError, match=words):
            read_clip(path, limits)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "no.mp4", tmp_path, "a\0b"):
        for read in (read_request, read_clip):
            with pytest.raises(NotAvailable, match="no file to read"):
                read(path)


def test_a_rotated_recording_comes_upright(tmp_path):
    from imageio_ffmpeg import get_ffmpeg_exe

    upright = moving(5, 48, 64)
    lying = write_clip(tmp_path / "lying.mp4", np.ascontiguousarray(np.rot90(upright, 1, axes=(2, 1))), 8)
    turned = tmp_path / "turned.mp4"
    command = [get_ffmpeg_exe(), "-loglevel", "error", "-display_rotation", "90", "-i", lying, "-c", "copy", turned]
    subprocess.run(command, check=True, timeout=60)
    frames, _ = read_clip(turned)
    assert frames.shape == upright.shape and np.abs(frames.astype(int) - upright).mean() < 4


@pytest.mark.parametrize("name", ["clip.mp4", "clip.png"])
def test_files_say_that_they_are_generated(name, tmp_path):
    said = b"trainedAlgorithmicMedia"
    assert said in write_clip(tmp_path / name, moving(), 8, REQUEST).read_bytes()
    assert said not in write_clip(tmp_path / name, moving(), 8).read_bytes(), "a clip without a request may be anybody's"
