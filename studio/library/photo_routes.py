"""The page's endpoints for photos and the faces in them. Each answers its owner alone, and does one thing at a time for each visitor."""

from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import Response
from starlette.routing import Route

from pipelines.errors import UserError
from studio.examples import FOLDER as EXAMPLES
from studio.examples import portraits, toys
from studio.face_models import usable_pack
from studio.library.library import Library
from studio.library.photo_faces import find_faces
from studio.library.photos import Photo, Photos
from studio.library.pictures import thumbnail
from studio.library.routes import MAX_PICTURE, side_of, whole
from studio.turns import Turns
from studio.visitors import owner_of
from studio.web import KEEP, answered, body, guarded, name_of, received

IN_USE = "This photo is in use by a job that waits or runs: stop that job first."


class PhotoRoutes:
    """The endpoints over the visitors' photos.

    Args:
        jobs: the queue, which may be using a photo.
        ready: set once the heavy libraries are loaded (see `LibraryRoutes`).
    """

    def __init__(self, library: Library, jobs: Any, ready: threading.Event) -> None:
        self.library, self.jobs, self.ready = library, jobs, ready
        self.turns = Turns()

    def routes(self) -> list[Route]:
        """GET /studio/photos/<id>/<picture.webp?side= | faces.json?pack=>; the list itself is part of /studio/library."""
        return [
            Route("/studio/photos", answered(self.add), methods=["POST"]),
            Route("/studio/photos/example", answered(self.add_example), methods=["POST"]),
            Route("/studio/photos/{id}/picture.webp", guarded(self.picture)),
            Route("/studio/photos/{id}/faces.json", answered(self.faces)),
            Route("/studio/photos/{id}/{action}", answered(self.change), methods=["POST"]),
        ]

    async def add(self, web: WebRequest) -> dict[str, Any]:
        """The body is a picture; X-Name its name."""
        owner, name = owner_of(web), name_of(web, "photo.png")
        too_large = f"{name[:60]} is larger than 64 MB: make it smaller."
        async with received(web, "", MAX_PICTURE, too_large) as file, self.turns.of(owner):
            photo = await run_in_threadpool(self._photos(web).add, file, name)
        return photo.to_json()

    async def add_example(self, web: WebRequest) -> dict[str, Any]:
        """Copy one of the pictures that come with the project (body: file), unless the visitor has it already."""
        owner, values = owner_of(web), await body(web)
        async with self.turns.of(owner):
            photo = await run_in_threadpool(self._example, self._photos(web), values.get("file"))
        return photo.to_json()

    def _example(self, photos: Photos, file: Any) -> Photo:
        if not isinstance(file, str) or file not in {entry["file"] for entry in (*portraits(), *toys())}:
            raise UserError("There is no such example; reload the page.")
        kept = next((photo for photo in photos.all() if photo.example == file), None)
        return kept or photos.add(EXAMPLES / file, file, file)

    async def change(self, web: WebRequest) -> dict[str, Any]:
        """delete, undo_delete, or person (body: face, consent)."""
        values, owner, photo_id = await body(web), owner_of(web), web.path_params["id"]
        photos = self._photos(web)
        verbs = {
            "delete": partial(self._delete, owner),
            "undo_delete": photos.undo_delete,
            "person": lambda photo_id: photos.mean(photo_id, whole(values.get("face", 0)), values.get("consent") is True),
        }
        if web.path_params["action"] not in verbs:
            raise UserError("The studio cannot do that with a photo; reload the page.")
        await run_in_threadpool(verbs[web.path_params["action"]], photo_id)
        return {}

    def _delete(self, owner: str, photo_id: str) -> None:
        waiting = [job for job in self.jobs.list(owner) if job.state in ("queued", "running")]
        used = (str(job.request.get(name, "")) for job in waiting for name in ("photo", "image"))
        if any(name.startswith(f"photos/{photo_id}/") for name in used):
            raise UserError(IN_USE)
        self.library.photos(owner).delete(photo_id)

    def picture(self, web: WebRequest) -> Response:
        photos = self._photos(web)
        file = photos.path(photos.find(web.path_params["id"]))
        return Response(thumbnail(file, side_of(web)), media_type="image/webp", headers=KEEP)

    async def faces(self, web: WebRequest) -> dict[str, Any]:
        """Which faces there are, see `photo_faces.faces_in`; found once for each pack."""
        owner, photos, pack = owner_of(web), self._photos(web), web.query_params.get("pack", "")
        photo = await run_in_threadpool(photos.find, web.path_params["id"])
        async with self.turns.of(owner):
            return await run_in_threadpool(self._faces, photos, photo, pack)

    def _faces(self, photos: Photos, photo: Photo, pack: str) -> dict[str, Any]:
        usable_pack(pack)

        def make(file: Path, target: Path) -> None:
            if not self.ready.wait(120):
                raise UserError("The studio is still starting: try again in a moment.")
            find_faces(pack, file, target)

        return json.loads(photos.made(photo, f"faces-{pack}.json", make).read_text(encoding="utf-8"))

    def _photos(self, web: WebRequest) -> Photos:
        return self.library.photos(owner_of(web))
