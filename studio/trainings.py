"""The trainings of adapters that the studio offers, and what is drawn with what they make."""

from __future__ import annotations

from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.face_training.request import TrainFaceRequest
from pipelines.methods.subject_training.request import TrainSubjectsRequest
from pipelines.methods.zero_shot_subject.request import SubjectRequest

LONGEST = 40
"""Characters of an adapter's name."""

TrainRequest = TrainSubjectsRequest | TrainFaceRequest
TRAINED: dict[type[TrainRequest], str] = {TrainSubjectsRequest: SubjectRequest.method, TrainFaceRequest: FaceRequest.method}
"""Training -> the method that draws with its adapters."""

NAMES: dict[type[TrainRequest], str] = {TrainSubjectsRequest: "My subjects", TrainFaceRequest: "My faces"}
"""What an adapter is called that nobody has named."""


def name_of(request: TrainRequest) -> str:
    """What the visitor calls the adapter: the page sends it along with the settings."""
    said = " ".join(str((request.model_extra or {}).get("name") or "").split())[:LONGEST]
    return said or NAMES[type(request)]
