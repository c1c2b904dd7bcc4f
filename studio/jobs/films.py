"""Several shots as one film: their pictures are taken over as they are, without decoding them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from pipelines.errors import UserError

APART = "These shots differ in size or pace, so they cannot be one film; draw them in one board."


def film_name(shots: Sequence[Path]) -> str:
    """What the film of these shots, in this order, is called in a job's folder."""
    words = " ".join(f"{shot.parent.name}/{shot.name}" for shot in shots)
    return f"film-{hashlib.sha256(words.encode()).hexdigest()[:16]}.mp4"


def join(path: Path, shots: Sequence[Path], fps: int) -> None:
    """Write the film of mp4 files that were written alike; raises UserError for those that were not."""
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as film:
        stream, at = None, 0
        for shot in shots:
            with av.open(str(shot)) as clip:
                (source,) = clip.streams.video
                if stream is None:
                    film.metadata.update(clip.metadata)
                    stream = film.add_stream_from_template(source)
                    first = source.codec_context.extradata
                if source.codec_context.extradata != first or source.average_rate != fps:
                    raise UserError(APART)
                at += _append(film, stream, clip.demux(source), Fraction(at, fps))


def _append(film, stream, packets, start: Fraction) -> int:
    """Mux `packets` from `start` seconds on; returns how many frames they were."""
    count = 0
    for packet in packets:
        if packet.dts is None:  # the end
            continue
        later = round(start / packet.time_base)
        packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
        film.mux(packet)
        count += 1
    return count
