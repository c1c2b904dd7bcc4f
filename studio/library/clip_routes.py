"""The page's endpoints for source clips. Each answers its owner alone; one thing at a time is drawn for each visitor, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from pipelines.errors import UserError
from studio.examples import FOLDER as EXAMPLES
from studio.examples import examples
from studio.jobs.files import CLIP
from studio.jobs.shots import words_of
from studio.library.clip_pictures import SHOWN, draw_motion, draw_preview, draw_strip, motion_name, motion_request, preview_start
from studio.library.clips import Clip, Clips
from studio.library.library import Library
from studio.media import file_name
from studio.turns import Turns
from studio.visitors import owner_of
from studio.web import KEEP, answered, body, drawn, name_of, received

MAX_CLIP = 256 * 1024 * 1024
TOO_LARGE = "{} is larger than 256 MB: choose a shorter clip, or save it smaller."
IN_USE = "This clip is in use by a job that waits or runs: stop that job first."


class ClipRoutes:
    """The endpoints over the visitors' source clips.

    Args:
        jobs: the queue, which may be using a clip.
        ready: set once the heavy libraries are loaded (see `LibraryRoutes`).
    """

    def __init__(self, library: Library, jobs: Any, ready: threading.Event) -> None:
        self.library, self.jobs, self.ready = library, jobs, ready
        self.turns = Turns()

    def routes(self) -> list[Route]:
        """GET /studio/clips/<id>/<strip.webp | preview.mp4?start= | tracks.webp? | slice.webp?>; the last two take the settings of
        the request by name. The list itself is part of /studio/library."""
        return [
            Route("/studio/clips", answered(self.add), methods=["POST"]),
            Route("/studio/clips/example", answered(self.add_example), methods=["POST"]),
            Route("/studio/clips/made", answered(self.add_made), methods=["POST"]),
            Route("/studio/clips/{id}/strip.webp", drawn(self.strip)),
            Route("/studio/clips/{id}/preview.mp4", drawn(self.preview)),
            Route("/studio/clips/{id}/{part}.webp", drawn(self.motion)),
            Route("/studio/clips/{id}/{action}", answered(self.change), methods=["POST"]),
        ]

    async def add(self, web: WebRequest) -> dict[str, Any]:
        """The body is a clip; X-Name its name."""
        owner, name = owner_of(web), name_of(web, "clip.mp4")
        async with received(web, "", MAX_CLIP, TOO_LARGE.format(name[:60])) as file, self.turns.of(owner):
            clip = await run_in_threadpool(self._clips(web).add, file, name)
        return clip.to_json()

    async def add_example(self, web: WebRequest) -> dict[str, Any]:
        """Copy one of the clips that come with the project (body: file), unless the visitor has it already."""
        owner, values = owner_of(web), await body(web)
        async with self.turns.of(owner):
            clip = await run_in_threadpool(self._example, self._clips(web), values.get("file"))
        return clip.to_json()

    def _example(self, clips: Clips, file: Any) -> Clip:
        words = {entry["file"]: entry["caption"] for entry in examples()}
        if not isinstance(file, str) or file not in words:
            raise UserError("There is no such example; reload the page.")
        kept = next((clip for clip in clips.all() if clip.example == file), None)
        return kept or clips.add(EXAMPLES / file, file, file, words[file])

    async def add_made(self, web: WebRequest) -> dict[str, Any]:
        """Copy a clip that was made here, or a part of one (body: job, file), unless the visitor has done so already."""
        owner, values = owner_of(web), await body(web)
        async with self.turns.of(owner):
            clip = await run_in_threadpool(self._made_here, owner, str(values.get("job")), str(values.get("file")))
        return clip.to_json()

    def _made_here(self, owner: str, job_id: str, file: str) -> Clip:
        job, clips, origin = self.jobs.get(owner, job_id), self.library.clips(owner), f"{job_id}/{file}"
        path = self.jobs.clip(owner, job_id) if file == CLIP else self.jobs.shot(owner, job_id, file)
        kept = next((clip for clip in clips.all() if clip.example == origin), None)
        ending = "" if file == CLIP else f"-{path.stem}"
        return kept or clips.add(path, file_name(job, path.suffix, ending), origin, words_of(job.request, job.values, file))

    async def change(self, web: WebRequest) -> dict[str, Any]:
        """delete or undo_delete."""
        await body(web)
        owner, clip_id = owner_of(web), web.path_params["id"]
        verbs = {"delete": partial(self._delete, owner), "undo_delete": self._clips(web).undo_delete}
        if web.path_params["action"] not in verbs:
            raise UserError("The studio cannot do that with a clip; reload the page.")
        await run_in_threadpool(verbs[web.path_params["action"]], clip_id)
        return {}

    def _delete(self, owner: str, clip_id: str) -> None:
        waiting = [job for job in self.jobs.list(owner) if job.state in ("queued", "running")]
        if any(name.startswith(f"clips/{clip_id}/") for job in waiting for name in _clips_in(job.request)):
            raise UserError(IN_USE)
        self.library.clips(owner).delete(clip_id)

    # --- drawings ------------------------------------------------------------------------------------------------

    async def strip(self, web: WebRequest) -> Response:
        clips, clip = await self._found(web)
        return await self._made(web, clips, clip, "strip.webp", partial(draw_strip, clip))

    async def preview(self, web: WebRequest) -> Response:
        clips, clip = await self._found(web)
        start = preview_start(clip, web.query_params.get("start", ""))
        return await self._made(web, clips, clip, f"preview-{round(10 * start)}.mp4", partial(draw_preview, clip, start))

    async def _made(self, web: WebRequest, clips: Clips, clip: Clip, name: str, make: Any) -> Response:
        async with self.turns.of(owner_of(web)):
            file = await run_in_threadpool(clips.made, clip, name, make)
        return FileResponse(file, headers=KEEP)

    async def motion(self, web: WebRequest) -> Response:
        part = web.path_params["part"]
        if part not in SHOWN:
            raise UserError("There is no such picture of this clip.")
        clips, clip = await self._found(web)
        async with self.turns.of(owner_of(web)):
            file = await run_in_threadpool(self._moving, clips, clip, dict(web.query_params), part)
        return FileResponse(file, headers=KEEP)

    def _moving(self, clips: Clips, clip: Clip, asked: dict[str, str], part: str) -> Path:
        """Both drawings come from one look at the clip, so that the second of them is there when it is asked for."""
        request = motion_request(clip, asked)
        other = next(one for one in SHOWN if one != part)

        def make(file: Path, target: Path) -> None:
            if not self.ready.wait(120):
                raise UserError("The studio is still starting: try again in a moment.")
            twin = target.with_name(target.name + ".twin")
            try:
                draw_motion(request, file, {part: target, other: twin})
                clips.made(clip, motion_name(request, other), lambda _, place: place.write_bytes(twin.read_bytes()))
            finally:
                twin.unlink(missing_ok=True)

        return clips.made(clip, motion_name(request, part), make)

    async def _found(self, web: WebRequest) -> tuple[Clips, Clip]:
        clips = self._clips(web)
        return clips, await run_in_threadpool(clips.find, web.path_params["id"])

    def _clips(self, web: WebRequest) -> Clips:
        return self.library.clips(owner_of(web))


def _clips_in(request: Mapping[str, Any]) -> Iterator[str]:
    """The names of all clips that a stored request is about."""
    yield str(request.get("source", ""))
    yield from (str(cell.get("clip", "")) for cell in request.get("cells", ()))
