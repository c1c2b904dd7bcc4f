"""Excerpts: the right pictures at the right moments, upright, cropped and scaled, whatever a telephone or a screen recorder gives."""

from __future__ import annotations

import itertools
import resource
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.errors import NotAvailable, UserError
from pipelines.video import Limits, write_clip
from pipelines.video import excerpt as excerpt_module
from pipelines.video.excerpt import LIMITS, describe, read_excerpt, window
from pipelines.video.metadata import is_whole

ALONE = "log-level=none:frame-threads=1:pools=none"
"""For x265: in one thread, whose packets always come in the order that the container needs."""

BITS = 10
HEIGHT, WIDTH = 48, 8 * BITS
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (40, 40, 220), (235, 235, 235)


def numbered(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(H, W, 3): its number as black and white bars, lowest bit on the left."""
    bars = np.array([(index >> bit) & 1 for bit in range(BITS)], np.uint8) * 200 + 25
    return np.broadcast_to(np.repeat(bars, width // BITS)[None, :, None], (height, width, 3)).copy()


def numbers(frames: np.ndarray) -> list[int]:
    bars = frames.reshape(len(frames), frames.shape[1], BITS, -1, 3).mean((1, 3, 4)) > 125
    return [sum(1 << bit for bit in range(BITS) if row[bit]) for row in bars]


def film(path: Path, times, pictures, codec="libx264", pixels="yuv420p", options=None, sound=False, container=None, muxer=None) -> Path:
    """A video of (H, W, 3) pictures shown at `times`, thousandths of a second."""
    pictures = iter(pictures)
    first = next(pictures)
    rate = round(1000 / np.median(np.diff(times))) if len(times) > 1 else 30
    with av.open(str(path), "w", format=muxer, options=container or {}) as file:
        stream = file.add_stream(codec, rate=rate, options={"crf": "20", "g": "12"} | (options or {}))
        stream.height, stream.width, stream.pix_fmt = *first.shape[:2], pixels
        if path.suffix != ".avi":  # which counts pictures instead
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        voice = file.add_stream("aac", rate=16000, layout="mono") if sound else None
        if voice:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts = 16000, 0
            file.mux([packet for part in (silence, None) for packet in voice.encode(part)])
        for at, picture in zip(times, itertools.chain([first], pictures), strict=False):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(at), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def steady(count: int, fps: float) -> list[int]:
    return [round(1000 * index / fps) for index in range(count)]


def counted(path: Path, times, **more) -> Path:
    return film(path, times, (numbered(index) for index in range(len(times))), **more)


def excerpt(path: Path, **more) -> np.ndarray:
    return read_excerpt(path, **({"height": HEIGHT, "width": WIDTH, "fps": 10, "frames": 4} | more))


def refused(read, words: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=words) as caught:
        read()
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 250
    assert time.monotonic() - began < 5


KINDS = {
    "h264.mp4": {},
    "b frames.mp4": {"options": {"bf": "3", "g": "250"}},
    "phone.mov": {"sound": True},
    "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "screen.mkv": {"options": {"bf": "2"}},
    "browser.webm": {"codec": "libvpx-vp9", "muxer": "webm", "container": {"live": "1"}},
    "hevc.mp4": {"codec": "libx265", "pixels": "yuv420p10le", "options": {"x265-params": f"{ALONE}:keyint=20:open-gop=1"}},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("start", [0, 1.2, 2.95])
def test_every_kind_gives_the_pictures_of_the_moments(tmp_path, name, start) -> None:
    path = counted(tmp_path / name, steady(60, 20), **KINDS[name])
    first = round(20 * start)
    expected = [min(first + 2 * index, 59) for index in range(6)]
    assert numbers(excerpt(path, start=start, frames=6)) == expected


@pytest.mark.parametrize(("codec", "pixels"), [("mjpeg", "yuvj420p"), ("libx264", "yuv420p")])
def test_an_avi_has_a_rate_instead_of_times(tmp_path, codec, pixels) -> None:
    with av.open(str(tmp_path / "old.avi"), "w") as file:
        stream = file.add_stream(codec, rate=10, options={"bf": "2", "g": "10"} if codec == "libx264" else {})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixels
        for index in range(40):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(index), format="rgb24")))
        file.mux(stream.encode())
    assert numbers(excerpt(tmp_path / "old.avi", start=2, frames=5)) == [20, 21, 22, 23, 24]
    assert describe(tmp_path / "old.avi").frames == 40


def test_an_old_mov_does_not_tell_its_type(tmp_path) -> None:
    path = counted(tmp_path / "old.mov", steady(20, 10))
    path.write_bytes(path.read_bytes().replace(b"ftyp", b"wide", 1))
    assert numbers(excerpt(path, start=0.5)) == [5, 6, 7, 8]


@pytest.mark.parametrize("name", ["clip.gif", "clip.png"])
def test_animated_pictures_count_too(tmp_path, name) -> None:
    path = write_clip(tmp_path / name, np.stack([numbered(index) for index in range(12)]), 10)
    assert numbers(excerpt(path, start=0.5, end=0.75, frames=5)) == [5, 6, 7, 7, 7]
    told = describe(path)
    assert (told.width, told.height, told.frames) == (WIDTH, HEIGHT, 12) and told.seconds == pytest.approx(1.2)


def test_a_quick_clip_is_thinned_and_a_slow_one_repeats(tmp_path) -> None:
    quick, slow = counted(tmp_path / "60.mp4", steady(120, 60)), counted(tmp_path / "5.mp4", steady(10, 5))
    assert numbers(excerpt(quick, fps=16, frames=5)) == [0, 4, 7, 11, 15]
    assert numbers(excerpt(slow, fps=10, frames=6)) == [0, 0, 1, 1, 2, 2]


def test_at_its_own_rate_a_clip_whose_times_are_rounded_and_jitter_does_not_stutter(tmp_path) -> None:
    jitter = np.random.default_rng(0).integers(-9, 10, 60)
    path = counted(tmp_path / "jitter.mkv", np.maximum(0, np.array(steady(60, 30)) + jitter))
    assert numbers(excerpt(path, fps=30, frames=40, start=0.5)) == list(range(15, 55))


def test_a_varying_rate_goes_by_times(tmp_path) -> None:
    """A screen recording: nothing happens for long, then a lot; what is on screen is what was shown last."""
    times = [0, 30, 60, 2000, 2050, 2100, 4000, 4030]
    path = counted(tmp_path / "screen.mp4", times, options={"bf": "2", "g": "250"})
    assert numbers(excerpt(path, start=0, fps=2, frames=9)) == [0, 2, 2, 2, 3, 5, 5, 5, 6]
    assert numbers(excerpt(path, start=1.5, fps=2, frames=3)) == [2, 3, 5]


def test_the_end_is_not_included_and_the_last_picture_is_held(tmp_path) -> None:
    path = counted(tmp_path / "clip.mp4", steady(40, 20))
    assert numbers(excerpt(path, start=0.5, end=0.9, fps=20, frames=10)) == [10, 11, 12, 13, 14, 15, 16, 17, 17, 17]
    assert numbers(excerpt(path, start=1.8, fps=20, frames=6)) == [36, 37, 38, 39, 39, 39]
    assert numbers(excerpt(path, start=1.8, end=99, fps=20, frames=6)) == [36, 37, 38, 39, 39, 39]


def test_times_count_from_the_first_picture(tmp_path) -> None:
    """A part that was cut out of a longer recording keeps that one's clock."""
    path = counted(tmp_path / "late.mkv", np.array(steady(40, 20)) + 7000)
    assert numbers(excerpt(path, start=1, fps=20, frames=3)) == [20, 21, 22]
    assert describe(path).seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", ["one.mp4", "one.webm", "one.png"])
def test_one_picture_is_held(tmp_path, name) -> None:
    codec = {"codec": "libvpx-vp9"} if name.endswith("webm") else {}
    path = write_clip(tmp_path / name, numbered(5)[None], 8) if name == "one.png" else film(tmp_path / name, [0], [numbered(5)], **codec)
    assert numbers(excerpt(path, frames=3)) == [5, 5, 5]
    assert describe(path).frames == 1


# --- the picture -----------------------------------------------------------------------------------------------------


def quarters(height: int, width: int) -> np.ndarray:
    """(H, W, 3): red and green above, blue and white below."""
    picture = np.empty((height, width, 3), np.uint8)
    for rows, colours in ((slice(0, height // 2), (RED, GREEN)), (slice(height // 2, None), (BLUE, WHITE))):
        picture[rows, : width // 2], picture[rows, width // 2 :] = colours
    return picture


def corners(frame: np.ndarray) -> list[tuple[int, ...]]:
    """Which of the four colours is nearest at the upper left, upper right, lower left and lower right."""
    named = np.array((RED, GREEN, BLUE, WHITE))
    places = [frame[2, 2], frame[2, -3], frame[-3, 2], frame[-3, -3]]
    return [tuple(named[np.abs(named - place.astype(int)).sum(1).argmin()].tolist()) for place in places]


def test_a_picture_at_its_own_size_is_what_was_stored(tmp_path) -> None:
    clip = np.random.default_rng(1).integers(0, 255, (3, 31, 45, 3), dtype=np.uint8)
    path = write_clip(tmp_path / "clip.png", clip, 10)
    assert np.array_equal(excerpt(path, frames=3, height=31, width=45), clip)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_colours(tmp_path, pixels) -> None:
    codec = "libx265" if "10" in pixels else "libx264"
    quiet = {"x265-params": ALONE} if "10" in pixels else {}
    path = film(tmp_path / "colours.mp4", [0], [quarters(64, 96)], codec=codec, pixels=pixels, options=quiet)
    frame = excerpt(path, frames=1, height=64, width=96)[0].astype(int)
    assert corners(frame) == [RED, GREEN, BLUE, WHITE]
    assert np.abs(frame[4:28, 4:44] - RED).max() < 8 and np.abs(frame[36:60, 52:92] - WHITE).max() < 8


@pytest.mark.parametrize(
    ("crop", "size", "expected"),
    [
        (None, (32, 64), [RED, GREEN, BLUE, WHITE]),
        (None, (64, 20), [RED, GREEN, BLUE, WHITE]),
        ((0, 0, 0.5, 0.5), (40, 40), [RED] * 4),
        ((0.5, 0, 0.5, 1), (40, 40), [GREEN, GREEN, WHITE, WHITE]),
        ((0.25, 0.5, 0.5, 0.4), (16, 48), [BLUE, WHITE, BLUE, WHITE]),
    ],
)
def test_the_crop_is_covered_from_its_middle(tmp_path, crop, size, expected) -> None:
    path = write_clip(tmp_path / "clip.png", quarters(60, 100)[None], 8)
    frame = excerpt(path, frames=1, height=size[0], width=size[1], crop=crop)[0]
    assert frame.shape == (*size, 3) and corners(frame) == expected


def test_a_window_has_the_wanted_proportions_and_the_middle_of_the_crop() -> None:
    draw = np.random.default_rng(2)
    for _ in range(50):
        width, height = draw.uniform(0.1, 1, 2)
        left, top = draw.uniform(0, 1 - width), draw.uniform(0, 1 - height)
        aspect, wanted = draw.uniform(0.3, 3, 2)
        x, y, across, down = window((left, top, width, height), aspect, wanted)
        assert aspect * across / down == pytest.approx(wanted)
        assert x + across / 2 == pytest.approx(left + width / 2) and y + down / 2 == pytest.approx(top + height / 2)
        assert across == pytest.approx(width) or down == pytest.approx(height)
        assert across <= width + 1e-9 and down <= height + 1e-9


def test_a_circle_stays_a_circle(tmp_path) -> None:
    y, x = np.mgrid[:90, :160]
    disc = np.repeat(((np.hypot(x - 80, y - 45) < 30) * 255).astype(np.uint8)[..., None], 3, -1)
    path = write_clip(tmp_path / "disc.png", disc[None], 8)
    for height, width in [(64, 64), (120, 80), (50, 200)]:
        inside = excerpt(path, frames=1, height=height, width=width)[0, ..., 0] > 127
        wide, high = inside.any(0).sum(), inside.any(1).sum()
        assert abs(wide - min(high * 1.0, width)) <= 2 or high == height


def test_stored_pixels_that_are_not_square(tmp_path) -> None:
    with av.open(str(tmp_path / "wide.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 48, "yuv420p"
        stream.sample_aspect_ratio = stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        file.mux(
            [packet for part in (av.VideoFrame.from_ndarray(quarters(64, 48), format="rgb24"), None) for packet in stream.encode(part)]
        )
    told = describe(tmp_path / "wide.mp4")
    assert (told.width, told.height) == (96, 64)
    assert corners(excerpt(tmp_path / "wide.mp4", frames=1, height=64, width=96)[0]) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_recording_is_cropped_upright(tmp_path, degrees) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    lying = film(tmp_path / "lying.mp4", [0], [np.ascontiguousarray(np.rot90(quarters(96, 64), -degrees // 90))])
    path = tmp_path / "turned.mov"
    command = [get_ffmpeg_exe(), "-loglevel", "error", "-display_rotation", str(degrees), "-i", lying, "-c", "copy", path]
    subprocess.run(command, check=True, timeout=60)
    told = describe(path)
    assert (told.width, told.height, told.rotated) == (64, 96, True)
    assert corners(excerpt(path, frames=1, height=96, width=64)[0]) == [RED, GREEN, BLUE, WHITE]
    assert corners(excerpt(path, frames=1, height=48, width=64, crop=(0, 0.5, 1, 0.5))[0]) == [BLUE, WHITE] * 2


def test_a_recording_that_changes_its_size_on_the_way(tmp_path) -> None:
    """A shared screen: the browser writes other sizes into the same stream."""
    parts = [tmp_path / f"{side}.h264" for side in (64, 96)]
    for part, side in zip(parts, (64, 96), strict=True):
        film(part, steady(5, 10), [quarters(side, side)] * 5, muxer="h264", options={"bf": "0"})
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    path = tmp_path / "share.mp4"
    with av.open(str(joined), format="h264", options={"framerate": "10"}) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(packet for packet in source.demux() if packet.size):
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 10), index, index
            file.mux(packet)
    frames = excerpt(path, frames=10, height=40, width=40)
    assert all(corners(frame) == [RED, GREEN, BLUE, WHITE] for frame in frames)


# --- what is not wanted is not decoded -------------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch) -> list[float]:
    """Times of the pictures that come out of the decoder."""
    times: list[float] = []
    plain = excerpt_module.timed_pictures

    def watched(source, start):
        for picture in plain(source, start):
            times.append(picture.seconds)
            yield picture

    monkeypatch.setattr(excerpt_module, "timed_pictures", watched)
    return times


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    """Ten minutes, a picture a second and a key picture every twelve."""
    return counted(tmp_path_factory.mktemp("long") / "long.mp4", steady(600, 1))


def test_of_ten_minutes_only_the_wanted_second_is_decoded(long, decoded) -> None:
    assert numbers(excerpt(long, start=599, fps=1, frames=1)) == [599]
    assert len(decoded) <= 13 and decoded[0] >= 580


def test_decoding_stops_at_the_end_of_the_span(long, decoded) -> None:
    assert numbers(excerpt(long, start=2, end=5, fps=1, frames=50))[:4] == [2, 3, 4, 4]
    assert len(decoded) <= 7


def test_pictures_that_no_other_needs_are_skipped_before_the_span(tmp_path, decoded) -> None:
    path = counted(tmp_path / "clip.mp4", steady(200, 20), options={"g": "250", "bf": "3", "sc_threshold": "0", "b_strategy": "0"})
    assert numbers(excerpt(path, start=9, fps=20, frames=3)) == [180, 181, 182]
    assert len(decoded) < 120


def test_describe_reads_no_more_than_the_first_picture(long, decoded) -> None:
    told = describe(long)
    assert (told.seconds, told.frames, told.rotated) == (pytest.approx(600, abs=1), 600, False)
    assert told.fps == pytest.approx(1, abs=0.01) and (told.width, told.height) == (WIDTH, HEIGHT)
    assert len(decoded) == 1


@pytest.mark.parametrize("name", KINDS)
def test_describe_knows_the_length_of_every_kind(tmp_path, name) -> None:
    told = describe(counted(tmp_path / name, steady(60, 20), **KINDS[name]))
    assert told.seconds == pytest.approx(3, abs=0.11) and told.frames == pytest.approx(60, abs=2)


def test_ten_bit_4k_at_60() -> None:
    """As recent telephones record. The file was made by film(path, steady(6, 60), [quarters(2160, 3840)] * 6, codec="libx265",
    pixels="yuv420p10le"): eight kilobytes, but more than a minute of encoding."""
    path = Path(__file__).parent / "clips" / "hevc-10bit-4k-60.mp4"
    told = describe(path)
    assert (told.width, told.height, told.frames) == (3840, 2160, 6) and told.fps == pytest.approx(60, rel=0.05)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = excerpt(path, fps=60, frames=6, height=480, width=832)
    assert all(corners(frame) == [RED, GREEN, BLUE, WHITE] for frame in frames)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024, "kilobytes; far less than for long clips"


# --- files that people bring -----------------------------------------------------------------------------------------

HOSTILE = {
    "empty.mp4": b"",
    "text.mp4": b"just a text file that somebody renamed",
    "hls.mp4": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret\n",
    "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "settings.mp4": b'{"prompt": "a"}',
    "nothing.mp4": b"\0\0\0\x10ftypisom\0\0\0\0",
    "nothing.webm": b"\x1a\x45\xdf\xa3" + b"\0" * 5000,
    "nothing.avi": b"RIFF\xff\xff\xff\x7fAVI LIST" + b"\0" * 5000,
    "nothing.mov": b"\0\0\0\x08wide\0\0\x10\0mdat" + b"\0" * 4088,
    "nothing.gif": b"GIF89a\x10\0\x10\0\0\0\0;",
    "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 500,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_clip_is_refused_in_one_sentence(tmp_path, name, recwarn) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    refused(lambda: excerpt(path), r"choose|get the file again")
    refused(lambda: describe(path), r"choose|get the file again")
    assert not recwarn.list


def test_sound_without_a_picture(tmp_path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        sound.sample_rate = 16000
        file.mux([packet for part in (sound, None) for packet in stream.encode(part)])
    for read in (excerpt, describe):
        refused(lambda read=read: read(path), "no moving picture")


def test_a_missing_file_and_a_folder(tmp_path) -> None:
    for path in (tmp_path / "no.mp4", tmp_path):
        with pytest.raises(NotAvailable, match="no file to read"):
            excerpt(path)


SPANS = [
    ({"start": 2.5}, "over after 2.0 seconds"),
    ({"start": -1}, "0 seconds or later"),
    ({"start": float("nan")}, "0 seconds or later"),
    ({"start": 1, "end": 1}, "ends before it starts"),
    ({"crop": (0.5, 0, 0.6, 1)}, "within the picture"),
    ({"crop": (0, 0, 0, 1)}, "within the picture"),
    ({"crop": (0, float("nan"), 1, 1)}, "within the picture"),
    ({"frames": 5000}, "too many"),
    ({"limits": Limits(pixels=80 * 47)}, "too large"),
    ({"limits": Limits(file_bytes=100)}, "larger than"),
    ({"limits": Limits(seconds=-1)}, "too long"),
]


@pytest.mark.parametrize(("asked", "words"), SPANS)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip.webm"])
def test_a_part_that_is_not_there(tmp_path, asked, words, name) -> None:
    clip = [numbered(index) for index in range(20)]
    if name == "clip.gif":
        write_clip(tmp_path / name, np.stack(clip), 10)
    else:
        counted(tmp_path / name, steady(20, 10), **(KINDS["browser.webm"] if name == "clip.webm" else {}))
    refused(lambda: excerpt(tmp_path / name, **asked), words)


@pytest.mark.parametrize("name", ["front.mp4", "cut.mkv", "browser.webm", "cut.gif", "cut.avi"])
def test_the_whole_part_of_a_cut_off_file_can_be_used(tmp_path, name) -> None:
    path, pictures = tmp_path / name, [numbered(index) for index in range(60)]
    noise = np.random.default_rng(3).integers(0, 90, (60, HEIGHT, WIDTH, 1), dtype=np.uint8)  # so that each takes some space
    pictures = [(picture > 120).astype(np.uint8) * 160 + part for picture, part in zip(pictures, noise, strict=True)]
    more = {"front.mp4": {"container": {"movflags": "faststart"}}, "browser.webm": KINDS["browser.webm"]}.get(name, {})
    if name == "cut.gif":
        write_clip(path, np.stack(pictures), 20)
    else:
        film(path, steady(60, 20), pictures, **({"codec": "mjpeg", "pixels": "yuvj420p"} if name == "cut.avi" else more))
    assert name == "browser.webm" or is_whole(path, name[-3:].replace("mkv", "webm"))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.6)])
    assert numbers(excerpt(path, start=0.2, fps=20, frames=10)) == list(range(4, 14))
    if name != "browser.webm":  # one that does not know its own length cannot know that something is missing
        refused(lambda: excerpt(path, start=0.2, fps=20, frames=54), "cut off in this part")


def test_a_cut_off_file_without_its_index_is_refused(tmp_path) -> None:
    path = counted(tmp_path / "clip.mp4", steady(60, 20))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    for read in (excerpt, describe):
        refused(lambda read=read: read(path), "damaged or cut off")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.gif"])
@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_never_escape_as_another_error(tmp_path, name, seed) -> None:
    clip = [numbered(index) for index in range(20)]
    path = write_clip(tmp_path / name, np.stack(clip), 10) if name == "clip.gif" else counted(tmp_path / name, steady(20, 10))
    data, draw = np.frombuffer(path.read_bytes(), np.uint8).copy(), np.random.default_rng(seed)
    data[draw.integers(12, len(data), 40)] = draw.integers(0, 256, 40)
    path.write_bytes(data.tobytes())
    for read in (lambda: excerpt(path, start=0.7), lambda: describe(path)):
        try:
            read()
        except UserError as error:
            assert "\n" not in str(error)


def test_a_large_file_is_no_reason_to_refuse() -> None:
    assert LIMITS.file_bytes >= 8 * 2**30
