"""The page's endpoints for what visitors own beside clips: pictures, subjects, LoRAs, adapters. Each answers its owner alone."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from pipelines.errors import UserError
from studio.library.adapters import folder_of
from studio.library.library import Library
from studio.library.pictures import thumbnail
from studio.visitors import owner_of
from studio.web import FRESH, answered, body, guarded, name_of, received

MAX_PICTURE = 64 * 1024 * 1024
MAX_ARCHIVE = 2 * 1024**3
SIDES = (64, 1024)
"""Smallest and largest side of a picture that the page may ask for."""

IN_USE = "{} is in use by a job that waits or runs: stop that job first."


class LibraryRoutes:
    """The endpoints over a library.

    Args:
        jobs: the queue, which may be using a subject and takes new trainings.
        ready: set once the heavy libraries are loaded: two threads that import them for the first time at once find them half-made.
    """

    def __init__(self, library: Library, jobs: Any, ready: threading.Event) -> None:
        self.library, self.jobs, self.ready = library, jobs, ready

    def routes(self) -> list[Route]:
        return [
            Route("/studio/library", answered(self.contents)),
            Route("/studio/pictures", answered(self.add_picture), methods=["POST"]),
            Route("/studio/pictures/{id}", guarded(self.picture)),
            Route("/studio/pictures/{id}/{action}", answered(self.change_picture), methods=["POST"]),
            Route("/studio/subjects", answered(self.take_in), methods=["POST"]),
            Route("/studio/subjects/{slug}/export.zip", guarded(self.export)),
            Route("/studio/subjects/{slug}/{index:int}.webp", guarded(self.reference)),
            Route("/studio/subjects/{slug}/{action}", answered(self.change_subject), methods=["POST"]),
            Route("/studio/loras", answered(self.take_in_lora), methods=["POST"]),
            Route("/studio/loras/{name}/{action}", answered(self.change_lora), methods=["POST"]),
            Route("/studio/adapters/{slug}/adapter.safetensors", guarded(self.adapter)),
            Route("/studio/adapters/{slug}/{action}", answered(self.change_adapter), methods=["POST"]),
        ]

    async def contents(self, web: WebRequest) -> dict[str, Any]:
        return await run_in_threadpool(self.library.contents, owner_of(web))

    # --- pictures ------------------------------------------------------------------------------------------------

    async def add_picture(self, web: WebRequest) -> dict[str, Any]:
        """The body is a picture file; X-Name its name, X-With the ids of those it stands beside."""
        owner, name = owner_of(web), name_of(web, "picture.png")
        others = [one for one in web.headers.get("x-with", "").split(",") if one][:64]
        async with received(web, Path(name).suffix[:6], MAX_PICTURE, f"{name[:60]} is larger than 64 MB: make it smaller.") as file:
            return await run_in_threadpool(self.library.pictures(owner).add, file, name, others)

    async def change_picture(self, web: WebRequest) -> dict[str, Any]:
        """edit (body: turns, box) or delete."""
        pictures, values = self.library.pictures(owner_of(web)), await body(web)
        name, action = web.path_params["id"], web.path_params["action"]
        if action == "delete":
            await run_in_threadpool(pictures.remove, name)
            return {}
        if action != "edit":
            raise UserError("The studio cannot do that with a picture; reload the page.")
        box = values.get("box")
        if box is not None and not (isinstance(box, list) and all(isinstance(share, int | float) for share in box)):
            raise UserError("The cut of this picture cannot be read: cut it again.")
        return await run_in_threadpool(pictures.edit, name, whole(values.get("turns", 0)), box)

    def picture(self, web: WebRequest) -> Response:
        """A picture as it will be learnt from, or with ?source as it was sent."""
        file = self.library.pictures(owner_of(web)).find(web.path_params["id"]).file
        shown = file.with_name("source.png") if "source" in web.query_params else file
        return Response(thumbnail(shown, side_of(web)), media_type="image/webp", headers=FRESH)

    # --- subjects ------------------------------------------------------------------------------------------------

    async def take_in(self, web: WebRequest) -> dict[str, Any]:
        """The body is a subject's zip."""
        owner = owner_of(web)
        async with received(web, ".zip", MAX_ARCHIVE, "The zip is larger than any subject: choose another file.") as file:
            return {"slug": await run_in_threadpool(self._patiently, lambda: self.library.take_in(owner, file))}

    async def change_subject(self, web: WebRequest) -> dict[str, Any]:
        """rename (body: name), delete, undo_delete, further (body: steps; answers the job's id)."""
        owner, slug, action = owner_of(web), web.path_params["slug"], web.path_params["action"]
        values = await body(web)
        verbs: dict[str, Callable[[], Any]] = {
            "rename": lambda: self.library.rename(owner, slug, str(values.get("name", ""))),
            "delete": lambda: self._delete(owner, slug),
            "undo_delete": lambda: self.library.undo_delete(owner, slug),
            "further": lambda: self.jobs.submit(owner, self.library.further(owner, slug, whole(values.get("steps", 0)))),
        }
        if action not in verbs:
            raise UserError("The studio cannot do that with a subject; reload the page.")
        return {"id": await run_in_threadpool(verbs[action])}

    def reference(self, web: WebRequest) -> Response:
        file = self.library.reference(owner_of(web), web.path_params["slug"], web.path_params["index"])
        return Response(thumbnail(file, side_of(web)), media_type="image/webp", headers=FRESH)

    def export(self, web: WebRequest) -> Response:
        slug, folder = web.path_params["slug"], tempfile.TemporaryDirectory(prefix="likeness-")
        try:
            file = self.library.export(owner_of(web), slug, Path(folder.name) / "subject.zip")
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            file, media_type="application/zip", filename=f"{slug}.zip", headers=FRESH, background=BackgroundTask(folder.cleanup)
        )

    def _delete(self, owner: str, slug: str) -> None:
        name = f"subjects/{slug}"
        waiting = [job for job in self.jobs.list(owner) if job.state in ("queued", "running")]
        if any(name in (job.request.get("subject"), job.request.get("folder")) for job in waiting):
            raise UserError(IN_USE.format(slug))
        self.library.delete(owner, slug)

    # --- LoRAs ---------------------------------------------------------------------------------------------------

    async def take_in_lora(self, web: WebRequest) -> dict[str, Any]:
        """The body is a safetensors file; X-Name its name."""
        owner, name = owner_of(web), name_of(web, "lora.safetensors")
        async with received(web, ".safetensors", MAX_ARCHIVE, "The file is larger than any LoRA: choose another one.") as file:
            return {"file": await run_in_threadpool(self._patiently, lambda: self.library.take_in_lora(owner, file, name))}

    async def change_lora(self, web: WebRequest) -> dict[str, Any]:
        """delete or undo_delete."""
        await body(web)
        owner, name = owner_of(web), web.path_params["name"]
        verbs = {"delete": self.library.delete_lora, "undo_delete": self.library.undo_delete_lora}
        if web.path_params["action"] not in verbs:
            raise UserError("The studio cannot do that with a LoRA; reload the page.")
        await run_in_threadpool(verbs[web.path_params["action"]], owner, name)
        return {}

    # --- adapters ------------------------------------------------------------------------------------------------

    def adapter(self, web: WebRequest) -> Response:
        slug = web.path_params["slug"]
        file = self.library.adapters(owner_of(web)).file(slug)
        return FileResponse(file, media_type="application/octet-stream", filename=f"{slug}.safetensors", headers=FRESH)

    async def change_adapter(self, web: WebRequest) -> dict[str, Any]:
        """delete or undo_delete."""
        await body(web)
        owner, slug = owner_of(web), web.path_params["slug"]
        adapters = self.library.adapters(owner)
        verbs = {"delete": lambda: self._delete_adapter(owner, slug), "undo_delete": lambda: adapters.undo_delete(slug)}
        if web.path_params["action"] not in verbs:
            raise UserError("The studio cannot do that with an adapter; reload the page.")
        await run_in_threadpool(verbs[web.path_params["action"]])
        return {}

    def _delete_adapter(self, owner: str, slug: str) -> None:
        name = folder_of(slug)
        waiting = [job for job in self.jobs.list(owner) if job.state in ("queued", "running")]
        if any(name in (job.request.get("adapter"), job.request.get("folder")) for job in waiting):
            raise UserError(IN_USE.format("This adapter"))
        self.library.adapters(owner).delete(slug)

    def _patiently(self, verb: Callable[[], str]) -> str:
        """Run what reads weights once the libraries for that are there."""
        if not self.ready.wait(120):
            raise UserError("The studio is still starting: try again in a moment.")
        return verb()


def whole(value: Any) -> int:
    """A whole number out of a page's JSON; raises UserError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 10**9:
        raise UserError("The page sent something the studio cannot read; reload it.")
    return int(value)


def side_of(web: WebRequest) -> int:
    """?side= in pixels, within SIDES."""
    asked = web.query_params.get("side", "")
    return min(max(int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 256, SIDES[0]), SIDES[1])
