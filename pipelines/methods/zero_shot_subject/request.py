"""The request of a clip of the subject in one picture."""

from __future__ import annotations

from typing import Literal

from pipelines.requests import VideoRequest, setting

Fit = Literal["letterbox", "crop"]


class SubjectRequest(VideoRequest):
    """A clip of the subject in one picture, without training.

    Attributes:
        image: name of the picture, see `pipelines.files`.
    """

    method = "subject-from-image"
    package = "zero_shot_subject"
    by_model = (*VideoRequest.by_model, "adapter")

    image: str = setting("", label="Picture", widget="photo", help="It shows the subject well, alone if possible.", max_length=400)
    class_word: str = setting(
        "", label="Subject word", widget="text", max_length=40,
        help="What the prompt calls it: teapot, dog. <cls> is put before it, which tells the model whom the picture shows.",
    )  # fmt: skip
    model: str = setting("playground-cogvideox", label="Model", widget="model", help="Of the CogVideoX family.", max_length=200)
    adapter: str = setting(
        "playground-subjects", label="Adapter", widget="adapter", max_length=400,
        help="The weights that look at the picture, made for one model: by name, or a folder or file of your own.",
    )  # fmt: skip
    strength: float = setting(1.0, label="Strength", help="Of the adapter; 0: the model as it is.", ge=0, le=2, step=0.05, slider=(0, 2))
    use_reference: bool = setting(True, label="Look at the picture", help="Without it the adapter alone draws, to compare.")
    fit: Fit = setting(
        "letterbox", label="Fit", choices=["letterbox", "crop"], help="The whole picture with white bars, or its middle without."
    )
    alpha: float = setting(
        0.0, label="Alpha", advanced=True, ge=0, le=4096,
        help="Of the adapter; 0: what its file says, or half of its rank where it says nothing, as the released one.",
    )  # fmt: skip
    preview_every: int = setting(
        1, label="Look at the clip every", unit="steps", advanced=True, help="While it is drawn; 0: never.", ge=0, le=200, slider=(0, 20)
    )
