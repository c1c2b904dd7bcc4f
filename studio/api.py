"""What the page may ask for and change: jobs, estimates, models, restoring settings. Answers are `{...}` or `{"error": sentence}`.

They stand beside gradio's queue instead of in it, so that a page stays quick while the machine is busy. Whoever asks is
known by the visitor cookie; a change must carry our own header, which a foreign page cannot send. Reading is in `media.py`.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipelines.errors import UserError
from pipelines.methods import planner
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import ModelEntry, entries, entry
from pipelines.requests import VideoRequest
from pipelines.video import read_request
from studio.visitors import owner_of

MAX_BODY = 256 * 1024  # a request is text; far more than any prompt
SERVED: tuple[type[VideoRequest], ...] = (GenerateRequest,)
"""What visitors may ask for: the methods that have a panel."""

MAX_CLIP = 256 * 1024 * 1024
log = logging.getLogger("likeness.studio")


class Api:
    """The endpoints over one queue and one store.

    Args:
        jobs: the queue (`studio.jobs.Jobs`).
        store: what is on disk (`pipelines.models.store.ModelStore`).
    """

    def __init__(self, jobs: Any, store: Any) -> None:
        self.jobs = jobs
        self.store = store

    def routes(self) -> list[Route]:
        return [
            Route("/studio/jobs", _answered(self.submit), methods=["POST"]),
            Route("/studio/jobs/{id}/{action}", _answered(self.act), methods=["POST"]),
            Route("/studio/models", _answered(self.models), methods=["GET"]),
            Route("/studio/estimate", _answered(self.estimate), methods=["POST"]),
            Route("/studio/restore", _answered(self.restore), methods=["POST"]),
        ]

    async def submit(self, web: WebRequest) -> dict[str, Any]:
        request = _read(await _body(web))
        _listed(request.model)
        planner(request).check(request)
        return {"id": await run_in_threadpool(self.jobs.submit, owner_of(web), request)}

    async def act(self, web: WebRequest) -> dict[str, Any]:
        """cancel, retry (answers the new id), delete, undo_delete, move (body: position)."""
        name, job, owner = web.path_params["action"], web.path_params["id"], owner_of(web)
        body = await _body(web)
        verbs: dict[str, Callable[[], Any]] = {
            "cancel": lambda: self.jobs.cancel(owner, job),
            "retry": lambda: self.jobs.retry(owner, job),
            "delete": lambda: self.jobs.delete(owner, job),
            "undo_delete": lambda: self.jobs.undo_delete(owner, job),
            "move": lambda: self.jobs.move(owner, job, int(body.get("position", 0))),
        }
        if name not in verbs:
            raise UserError("The studio cannot do that with a clip; reload the page.")
        return {"id": await run_in_threadpool(verbs[name])}

    async def models(self, web: WebRequest) -> dict[str, Any]:
        return {"models": await run_in_threadpool(lambda: [self.model(one) for one in entries()])}

    def model(self, one: ModelEntry) -> dict[str, Any]:
        """What the page shows of a model."""
        names = ("name", "title", "licence", "bytes", "description", "size_multiple", "min_size", "max_size")
        return {name: getattr(one, name) for name in names} | {
            "defaults": one.defaults(),
            "limits": {"frames": {"minimum": 1, "maximum": one.max_frames, "step": one.frame_step}},
            "on_disk": self.store.folder(one) is not None,
            "downloadable": one.repo is not None,
        }

    async def estimate(self, web: WebRequest) -> dict[str, Any]:
        return await run_in_threadpool(self._estimate, await _body(web))

    def _estimate(self, body: dict[str, Any]) -> dict[str, Any]:
        """Time, memory, download and what would be snapped; the model's facts even when a setting does not fit."""
        one = _listed(str((body.get("settings") or {}).get("model", "")))
        model = self.model(one)
        try:
            request = _read(body)
            method = planner(request)
            plan = method.plan(request, one)
            return asdict(method.estimate(plan.request, one, model["on_disk"])) | {"notes": plan.notes, "model": model}
        except UserError as error:
            return {"error": str(error), "model": model}

    async def restore(self, web: WebRequest) -> dict[str, Any]:
        """The settings that a clip of ours carries; the file comes as the body and is not kept."""
        _ours(web)
        suffix = Path(web.headers.get("x-name", "clip.mp4")).suffix[:8] or ".mp4"
        with tempfile.NamedTemporaryFile(suffix=suffix) as file:
            size = 0
            async for piece in web.stream():
                size += len(piece)
                if size > MAX_CLIP:
                    raise UserError("This file is too large to be a clip of ours, so there is nothing to restore from it.")
                file.write(piece)
            file.flush()
            request = await run_in_threadpool(read_request, Path(file.name))
        if not isinstance(request, SERVED):
            raise UserError(f"This clip was made with {request.method}, which has no tab here yet.")
        return {"method": request.method, "settings": request.model_dump(mode="json"), "notes": _snapped(request)}


def _answered(endpoint: Callable[[WebRequest], Awaitable[dict[str, Any]]]) -> Callable[[WebRequest], Awaitable[Response]]:
    """Turn what an endpoint returns or raises into one JSON answer."""

    async def handler(web: WebRequest) -> Response:
        try:
            return JSONResponse(await endpoint(web), headers={"Cache-Control": "no-store"})
        except UserError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except Exception:
            log.exception("the page's request %s failed", web.url.path)
            return JSONResponse({"error": "The studio could not do that; its log says why."}, status_code=500)

    return handler


def _ours(web: WebRequest) -> None:
    if web.headers.get("x-likeness") != "1":
        raise UserError("This request did not come from the studio's own page.")


async def _body(web: WebRequest) -> dict[str, Any]:
    """The JSON object of a change; raises UserError for anything else."""
    _ours(web)
    data = b""
    async for piece in web.stream():
        data += piece
        if len(data) > MAX_BODY:
            raise UserError("These settings are too long; shorten the prompt.")
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise UserError("The page sent something the studio cannot read; reload it.")
    return body


def _read(body: dict[str, Any]) -> VideoRequest:
    kind = {kind.method: kind for kind in SERVED}.get(str(body.get("method")))
    settings = body.get("settings")
    if kind is None or not isinstance(settings, dict):
        raise UserError("The page asked for something this studio does not have; reload it.")
    return kind.read({name: value for name, value in settings.items() if value is not None})


def _listed(name: str) -> ModelEntry:
    """A model of the registry. Folders of this machine, which `entry` knows too, are not for visitors to name."""
    if name not in {one.name for one in entries()}:
        raise UserError(f"There is no model called {name[:60]!r} here; choose one from the list.")
    return entry(name)


def _snapped(request: VideoRequest) -> tuple[str, ...]:
    """What the form cannot take over as it is; nothing for a model that this studio does not have."""
    try:
        return planner(request).plan(request, _listed(request.model)).notes
    except UserError as error:
        return (str(error),)
