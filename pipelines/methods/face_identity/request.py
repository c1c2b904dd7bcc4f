"""The request of a clip of the person in a photograph."""

from __future__ import annotations

from pipelines.requests import VideoRequest, setting


class FaceRequest(VideoRequest):
    """A clip of the person in one photograph.

    Attributes:
        photo: name of the picture, see `pipelines.files`.
    """

    method = "face"
    package = "face_identity"
    by_model = (*VideoRequest.by_model, "adapter", "pack", "watch_every", "id_guidance")

    photo: str = setting("", label="Photo", widget="photo", help="A picture in which the face is seen well.", max_length=400)
    consent: bool = setting(
        False, label="I may use this person's likeness", help="It is your own, or the person agrees; without it nothing is drawn."
    )
    face: int = setting(
        0, label="Which face", widget="face", help="Counted from the left, where there are several; 0: the largest.", ge=0, le=1000
    )
    adapter: str = setting(
        "playground-lynx", label="Adapter", widget="adapter", max_length=400,
        help="The weights that know faces, made for one model: by name, or a folder or file of your own.",
    )  # fmt: skip
    pack: str = setting(
        "playground-faces", label="Face models", widget="pack", max_length=100,
        help="Find the face. Those of insightface are for non-commercial research only.",
    )  # fmt: skip
    id_scale: float = setting(
        1.0, label="Identity", help="Strength of what a recogniser knows of the face; 0: none.", ge=0, le=2, step=0.05,
        slider=(0, 2),
    )  # fmt: skip
    ref_scale: float = setting(
        1.0, label="Details", help="Strength of what the photo itself shows of it; 0: none.", ge=0, le=2, step=0.05, slider=(0, 2)
    )
    id_guidance: float = setting(
        2.0, label="Identity guidance", advanced=True, ge=0, le=20, step=0.1, slider=(0, 8),
        help="How strongly the face steers, apart from the prompt, for a third pass per step; 0: together with the prompt.",
    )  # fmt: skip
    first_step: float = setting(0.0, label="First step", advanced=True, help="With the face, as a share of all steps.", ge=0, le=1)
    last_step: float = setting(1.0, label="Last step", advanced=True, help="With the face, as a share of all steps.", ge=0, le=1)
    watch_every: int = setting(
        5, label="Look for the face every", unit="steps", advanced=True, ge=0, le=200, slider=(0, 20),
        help="While it is drawn, which takes a decoding each time; 0: at the end only.",
    )  # fmt: skip
    mark: bool = setting(False, label="Visible mark", help="Writes into the picture that AI made it; the file says so anyway.")
