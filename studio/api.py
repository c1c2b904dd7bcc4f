"""What the page may ask for and change: jobs, estimates, models, restoring settings. Answers are `{...}` or `{"error": sentence}`.

They stand beside gradio's queue instead of in it, so that a page stays quick while the machine is busy. Whoever asks is
known by the visitor cookie; a change must carry our own header, which a foreign page cannot send. Reading is in `media.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.routing import Route

from pipelines.errors import UserError
from pipelines.methods import planner
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.models.registry import ModelEntry, entries, entry
from pipelines.models.wishes import WISHES, wishes
from pipelines.requests import Request
from pipelines.video import read_request
from studio.adapters import adapters_here
from studio.jobs.job import request_of
from studio.library import Library
from studio.trainings import TRAINED, TrainRequest
from studio.visitors import owner_of
from studio.web import answered, body, name_of, received

Drawn = GenerateRequest | PersonaliseRequest | SubjectRequest | MotionRequest | StoryboardRequest | FaceRequest | GridRequest
Asked = Drawn | AdaptRequest | TrainRequest
SERVED: tuple[type[Asked], ...] = (
    GenerateRequest, PersonaliseRequest, SubjectRequest, MotionRequest, StoryboardRequest, FaceRequest, GridRequest, AdaptRequest,
)  # fmt: skip
"""What visitors may ask for: the methods that have a panel, where the machine has what they need."""

MAX_CLIP = 256 * 1024 * 1024


class Api:
    """The endpoints over one queue, one store and the visitors' own things.

    Args:
        jobs: the queue (`studio.jobs.Jobs`).
        store: what is on disk (`pipelines.models.store.ModelStore`).
        library: subjects, pictures, LoRAs and adapters.
        trains: whether visitors may train adapters, which takes long and much room.
    """

    def __init__(self, jobs: Any, store: Any, library: Library, trains: bool = True) -> None:
        self.jobs, self.store, self.library = jobs, store, library
        self.served = {kind.method: kind for kind in (*SERVED, *(TRAINED if trains else ()))}

    def routes(self) -> list[Route]:
        return [
            Route("/studio/jobs", answered(self.submit), methods=["POST"]),
            Route("/studio/jobs/{id}/{action}", answered(self.act), methods=["POST"]),
            Route("/studio/models", answered(self.models), methods=["GET"]),
            Route("/studio/estimate", answered(self.estimate), methods=["POST"]),
            Route("/studio/restore", answered(self.restore), methods=["POST"]),
        ]

    async def submit(self, web: WebRequest) -> dict[str, Any]:
        return {"id": await run_in_threadpool(self._submit, owner_of(web), await body(web))}

    def _submit(self, owner: str, values: dict[str, Any]) -> str:
        request = self._read(owner, values)
        _listed(request.model)
        planner(request).check(request)
        self.library.reads(owner, request)
        self.library.begin(owner, request)
        return self.jobs.submit(owner, request)

    def _retry(self, owner: str, job: str) -> str:
        """A training goes on in the folder that it had, also if that was deleted meanwhile."""
        request = request_of(self.jobs.get(owner, job))
        if isinstance(request, TrainRequest) and request.method not in self.served:
            raise UserError("Adapters cannot be trained here any more.")
        self.library.begin(owner, request)
        return self.jobs.retry(owner, job)

    async def act(self, web: WebRequest) -> dict[str, Any]:
        """cancel, retry (answers the new id), delete, undo_delete, move (body: position)."""
        name, job, owner = web.path_params["action"], web.path_params["id"], owner_of(web)
        values = await body(web)
        verbs: dict[str, Callable[[], Any]] = {
            "cancel": lambda: self.jobs.cancel(owner, job),
            "retry": lambda: self._retry(owner, job),
            "delete": lambda: self.jobs.delete(owner, job),
            "undo_delete": lambda: self.jobs.undo_delete(owner, job),
            "move": lambda: self.jobs.move(owner, job, int(values.get("position", 0))),
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
            "wishes": {method: wishes(one, method) for method in WISHES},
            "limits": {"frames": {"minimum": 1, "maximum": one.max_frames, "step": one.frame_step}},
            "on_disk": self.store.folder(one) is not None,
            "downloadable": one.repo is not None,
        }

    async def estimate(self, web: WebRequest) -> dict[str, Any]:
        return await run_in_threadpool(self._estimate, owner_of(web), await body(web))

    def _estimate(self, owner: str, values: dict[str, Any]) -> dict[str, Any]:
        """Time, memory, download, what would be snapped and how the prompt reads; the model's facts even when a setting does not fit."""
        one = _listed(str((values.get("settings") or {}).get("model", "")))
        model = self.model(one)
        try:
            request = self._read(owner, values)
            method = planner(request)
            plan = method.plan(request, one)
            cost = asdict(method.estimate(plan.request, one, model["on_disk"]))
            return cost | {"notes": plan.notes, "model": model, "reads": self.library.reads(owner, request)}
        except UserError as error:
            return {"error": str(error), "model": model}

    async def restore(self, web: WebRequest) -> dict[str, Any]:
        """The settings that a clip of ours carries; the file comes as the body and is not kept."""
        suffix = Path(name_of(web, "clip.mp4")).suffix[:8] or ".mp4"
        too_large = "This file is too large to be a clip of ours, so there is nothing to restore from it."
        async with received(web, suffix, MAX_CLIP, too_large) as file:
            request = await run_in_threadpool(read_request, file)
        if not isinstance(request, SERVED) or (isinstance(request, FaceRequest | GridRequest) and not adapters_here(request.method)):
            raise UserError(f"This clip was made with {request.method}, which has no tab here.")
        notes = await run_in_threadpool(self._what_is_missing, owner_of(web), request)
        return {"method": request.method, "settings": request.model_dump(mode="json"), "notes": notes}

    def _what_is_missing(self, owner: str, request: Asked) -> tuple[str, ...]:
        """What the form cannot take over as it is: snapped sizes, models, subjects and LoRAs that are not here."""
        try:
            notes = planner(request).plan(request, _listed(request.model)).notes
            self.library.reads(owner, request)
        except UserError as error:
            return (str(error),)
        return notes

    def _read(self, owner: str, values: dict[str, Any]) -> Asked:
        kind = self.served.get(str(values.get("method")))
        settings = values.get("settings")
        if kind is None or not isinstance(settings, dict):
            raise UserError("The page asked for something this studio does not have; reload it.")
        request: Request = kind.read({name: value for name, value in settings.items() if value is not None})
        return self.library.settle(owner, request)  # type: ignore[return-value]


def _listed(name: str) -> ModelEntry:
    """A model of the registry. Folders of this machine, which `entry` knows too, are not for visitors to name."""
    if name not in {one.name for one in entries()}:
        raise UserError(f"There is no model called {name[:60]!r} here; choose one from the list.")
    return entry(name)
