"""Which face models can be chosen, what their licences allow, where they lie on this machine, and how they are opened.

A pack is a folder of ONNX files as insightface lays it out: a detector with five key points and a recogniser.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import NotAvailable, UserError
from pipelines.models.registry import ROOT

if TYPE_CHECKING:
    from insightface.app import FaceAnalysis

OURS = "Same as this project: trained on drawn people, no photograph was used."
INSIGHTFACE = "For non-commercial research only (insightface's model licence)."

NEEDED = ("detection", "recognition")
"""What is used of a pack; packs may hold age, gender and dense key points besides."""


@dataclass(frozen=True)
class FacePack:
    """Face models that belong together.

    Attributes:
        name: what a request calls them.
        title, description, licence: for the person who chooses.
        path: folder relative to the project, for packs that come with it; None: see `folders`.
        for_scoring: measures likeness only and never conditions a generation.
    """

    name: str
    title: str
    description: str
    licence: str
    path: str | None = None
    for_scoring: bool = False

    @property
    def here(self) -> bool:
        """Whether the pack is on this machine."""
        return any(_holds_models(folder) for folder in self.folders())

    def find(self) -> Path:
        """The folder with the pack's files. Raises NotAvailable, which says where they should be."""
        for folder in self.folders():
            if _holds_models(folder):
                return folder
        where = self.folders()[0]
        if self.path:
            raise NotAvailable(f"The files of {self.title} are missing from {where}: get a complete copy of the folder.")
        raise NotAvailable(f"The face models {self.name} are not on this machine: unpack insightface's {self.name}.zip into {where}.")

    def folders(self) -> tuple[Path, ...]:
        """Where the pack may lie, best first: ours, or insightface's own place; archives may hold a folder in the folder."""
        if self.path:
            return (ROOT / self.path,)
        places = (models_home() / self.name, Path("~/.insightface/models").expanduser() / self.name)
        return tuple(folder for place in places for folder in (place, place / self.name))


PACKS = (
    FacePack(
        name="playground-faces",
        title="Playground faces",
        description="Comes with the project; knows the drawn people of the playground only.",
        licence=OURS,
        path="assets/models/playground-faces",
    ),
    FacePack(
        name="playground-faces-second",
        title="Playground faces, second",
        description="Another recogniser for the same people, for scoring what was made with the first.",
        licence=OURS,
        path="assets/models/playground-faces-second",
        for_scoring=True,
    ),
    FacePack(
        name="buffalo_l",
        title="insightface buffalo_l",
        description="Photographs: SCRFD-10GF and a ResNet-50 trained on WebFace600K.",
        licence=INSIGHTFACE,
    ),
    FacePack(
        name="antelopev2",
        title="insightface antelopev2",
        description="Photographs: SCRFD-10GF and a ResNet-100 trained on Glint360K.",
        licence=INSIGHTFACE,
    ),
)

IR_SE50 = "facexlib-ir-se50"
"""Name of the recogniser that the released weights of Lynx were trained with: facexlib's ArcFace, which belongs to no pack."""

IR_SE50_FILE = "recognition_arcface_ir_se50.pth"
IR_SE50_LICENCE = "Published by facexlib after InsightFace_Pytorch, both MIT; see there for the data it was trained on."


def packs() -> tuple[FacePack, ...]:
    """All known packs, the default first, whether or not they are on this machine."""
    return PACKS


def pack(name: str = PACKS[0].name) -> FacePack:
    """The pack called `name`. Raises UserError naming the known ones."""
    for known in PACKS:
        if known.name == name.strip().lower():
            return known
    raise UserError(f"There are no face models called {name[:60]!r}: choose one of {', '.join(known.name for known in PACKS)}.")


def ir_se50_file() -> Path:
    """Where the weights of `IR_SE50` should lie; they need not be there."""
    return models_home() / "facexlib" / IR_SE50_FILE


def models_home() -> Path:
    """The folder that downloaded models lie in, see `pipelines.models.store`."""
    from pipelines.models.store import data_home

    return data_home() / "models"


def open_pack(folder: Path, device: str = "auto") -> FaceAnalysis:
    """insightface's view of the pack in `folder`, on `device` ("auto", "cpu", "cuda", "cuda:1").

    Raises NotAvailable if there is no such pack (insightface itself would try to download one), UserError if it is damaged.
    """
    if not _holds_models(folder):
        raise NotAvailable(f"There is no face model pack in {folder}: it should hold a detector and a recogniser as .onnx files.")
    from insightface.app import FaceAnalysis

    warnings.filterwarnings("ignore", category=FutureWarning, module=r"insightface\.")  # of its own calls to scikit-image
    try:
        analysis = FaceAnalysis(
            name=str(folder), allowed_modules=list(NEEDED), providers=providers(device), sess_options=patient_sessions()
        )
    except Exception as error:  # onnx, onnxruntime and insightface each raise errors of their own
        raise UserError(f"The face model pack in {folder} is damaged or incomplete: get it again.") from error
    return analysis


def patient_sessions():
    """onnxruntime options whose threads sleep while they wait: spinning, they slow down everything else on the machine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def providers(device: str) -> list:
    """onnxruntime's execution providers for `device`; the processor where it was built without CUDA."""
    import onnxruntime

    kind, _, number = device.partition(":")
    if kind == "cpu" or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]


def _holds_models(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.onnx"))
