"""The methods by name. Importing this package imports no torch; a method's code comes in when it is first run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from pipelines.files import ANYWHERE, Files
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.face_training.request import TrainFaceRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.grid_training.request import TrainGridRequest
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.methods.subject_training.request import TrainSubjectsRequest
from pipelines.methods.zero_shot_subject.request import SubjectRequest

if TYPE_CHECKING:
    from pipelines.events import Event
    from pipelines.models.store import ModelStore
    from pipelines.requests import Request

KINDS = (
    GenerateRequest, AdaptRequest, PersonaliseRequest, MotionRequest, StoryboardRequest, FaceRequest, TrainFaceRequest, SubjectRequest,
    TrainSubjectsRequest, GridRequest, TrainGridRequest,
)  # fmt: skip
REQUESTS = {kind.method: kind for kind in KINDS}


def run(request: Request, store: ModelStore, files: Files = ANYWHERE) -> Iterator[Event]:
    """Run whichever method `request` belongs to, its files found by `files`. Closing the iterator cancels it."""
    return import_module(f"pipelines.methods.{request.package}.run").run(request, store, files)


def planner(request: Request) -> ModuleType:
    """The light half of a method: check, plan, estimate."""
    return import_module(f"pipelines.methods.{request.package}.plan")
