"""Which models exist: name, where the weights come from, size, licence, what they can do and which clips they can draw.

Light on purpose (no torch, no network): the studio's form, the command line's list and every estimate read it.
Geometry, default steps and guidance of the hub models are those of their diffusers pipelines. `bytes` is what a download
transfers: the parameters of the published components at the precision they are published in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import NotAvailable, UserError

ROOT = Path(__file__).resolve().parents[2]
TEXT_TO_VIDEO = "text-to-video"


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    Attributes:
        name: what a request calls it; for a folder on this machine, its path.
        family: "wan", "cogvideox" or "ltx": which backbone drives it.
        repo, revision: Hugging Face repository and the commit that is downloaded (None: the newest).
        path: folder relative to the project, for models that come with it; absolute for a folder given by path.
        bytes: size of the download, or of the folder.
        can: what it can be used for here; empty while no backbone drives its family.
        size_multiple, min_size, max_size: pixels of a side.
        frame_step, max_frames: valid clips have k * frame_step + 1 frames (CogVideoX decodes latent frames in pairs).
        parameters: weights of the denoiser, for estimates.
    """

    name: str
    family: str
    title: str
    repo: str | None
    revision: str | None
    path: str | None
    bytes: int
    licence: str
    description: str
    can: tuple[str, ...]
    default_width: int
    default_height: int
    default_frames: int
    default_steps: int
    default_guidance: float
    fps: int
    size_multiple: int
    min_size: int
    max_size: int
    frame_step: int
    max_frames: int
    parameters: int

    def defaults(self) -> dict[str, int | float]:
        """The request fields that this model would like when the user has not chosen."""
        return {
            "width": self.default_width,
            "height": self.default_height,
            "frames": self.default_frames,
            "steps": self.default_steps,
            "guidance": self.default_guidance,
            "fps": self.fps,
        }

    @property
    def folder(self) -> Path | None:
        """Where `path` points on this machine, or None for hub models."""
        return ROOT / self.path if self.path else None


PLAYGROUND_WAN = ModelEntry(
    name="playground-wan",
    family="wan",
    title="Playground (Wan)",
    repo=None,
    revision=None,
    path="assets/models/playground-wan",
    bytes=13_560_000,
    licence="Same as this project",
    description="Small and quick, made for machines without a graphics card: toys and people in simple scenes. At home at 64 x 64.",
    can=(TEXT_TO_VIDEO,),
    default_width=64,
    default_height=64,
    default_frames=17,
    default_steps=20,
    default_guidance=4.0,
    fps=8,
    size_multiple=16,
    min_size=32,
    max_size=192,
    frame_step=4,
    max_frames=33,
    parameters=4_339_712,
)

PLAYGROUND_COG = ModelEntry(
    name="playground-cogvideox",
    family="cogvideox",
    title="Playground (CogVideoX)",
    repo=None,
    revision=None,
    path="assets/models/playground-cogvideox",
    bytes=13_100_000,
    licence="Same as this project",
    description="Small, with text and video in one attention: toys and people in simple scenes. At home at 64 x 64.",
    can=(TEXT_TO_VIDEO,),
    default_width=64,
    default_height=64,
    default_frames=17,
    default_steps=20,
    default_guidance=4.0,
    fps=8,
    size_multiple=16,
    min_size=32,
    max_size=192,
    frame_step=4,
    max_frames=33,
    parameters=4_419_328,
)

WAN_SMALL = ModelEntry(
    name="wan2.1-1.3b",
    family="wan",
    title="Wan2.1 1.3B",
    repo="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    revision="0fad780a534b6463e45facd96134c9f345acfa5b",
    path=None,
    bytes=28_928_887_859,
    licence="Apache-2.0",
    description="Text to video at 480p; runs on a consumer graphics card.",
    can=(TEXT_TO_VIDEO,),
    default_width=832,
    default_height=480,
    default_frames=81,
    default_steps=50,
    default_guidance=5.0,
    fps=16,
    size_multiple=16,
    min_size=256,
    max_size=832,
    frame_step=4,
    max_frames=81,
    parameters=1_418_996_800,
)

WAN_LARGE = ModelEntry(
    name="wan2.1-14b",
    family="wan",
    title="Wan2.1 14B",
    repo="Wan-AI/Wan2.1-T2V-14B-Diffusers",
    revision="38ec498cb3208fb688890f8cc7e94ede2cbd7f68",
    path=None,
    bytes=80_410_000_000,
    licence="Apache-2.0",
    description="Text to video at 480p and 720p with the finest detail; wants a large graphics card.",
    can=(TEXT_TO_VIDEO,),
    default_width=832,
    default_height=480,
    default_frames=81,
    default_steps=50,
    default_guidance=5.0,
    fps=16,
    size_multiple=16,
    min_size=256,
    max_size=1280,
    frame_step=4,
    max_frames=81,
    parameters=14_288_491_584,
)

COG_SMALL = ModelEntry(
    name="cogvideox-2b",
    family="cogvideox",
    title="CogVideoX 2B",
    repo="zai-org/CogVideoX-2b",
    revision="1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01",
    path=None,
    bytes=13_345_000_000,
    licence="Apache-2.0",
    description="Text to video at 720x480, six seconds.",
    can=(TEXT_TO_VIDEO,),
    default_width=720,
    default_height=480,
    default_frames=49,
    default_steps=50,
    default_guidance=6.0,
    fps=8,
    size_multiple=16,
    min_size=256,
    max_size=768,
    frame_step=8,
    max_frames=49,
    parameters=1_693_783_872,
)

COG_LARGE = ModelEntry(
    name="cogvideox-5b",
    family="cogvideox",
    title="CogVideoX 5B",
    repo="zai-org/CogVideoX-5b",
    revision="8d6ea3f817438460b25595a120f109b88d5fdfad",
    path=None,
    bytes=21_098_000_000,
    licence="CogVideoX licence (research; commercial use by registration)",
    description="Text to video at 720x480, six seconds, with more detail than 2B.",
    can=(TEXT_TO_VIDEO,),
    default_width=720,
    default_height=480,
    default_frames=49,
    default_steps=50,
    default_guidance=6.0,
    fps=8,
    size_multiple=16,
    min_size=256,
    max_size=768,
    frame_step=8,
    max_frames=49,
    parameters=5_570_283_072,
)

LTX = ModelEntry(
    name="ltx-video",
    family="ltx",
    title="LTX-Video 2B",
    repo="Lightricks/LTX-Video",
    revision="8984fa25007f376c1a299016d0957a37a2f797bb",
    path=None,
    bytes=28_420_000_000,
    licence="LTX-Video open weights licence",
    description="Text to video at 704x480, six seconds, built for speed.",
    can=(TEXT_TO_VIDEO,),
    default_width=704,
    default_height=480,
    default_frames=161,
    default_steps=50,
    default_guidance=3.0,
    fps=25,
    size_multiple=32,
    min_size=256,
    max_size=1280,
    frame_step=8,
    max_frames=257,
    parameters=1_923_385_472,
)

ENTRIES = (PLAYGROUND_WAN, PLAYGROUND_COG, WAN_SMALL, WAN_LARGE, COG_SMALL, COG_LARGE, LTX)


def entries() -> tuple[ModelEntry, ...]:
    """All known models, those that come with the project first."""
    return ENTRIES


def entry(name: str) -> ModelEntry:
    """The model called `name`: a registry name, its hub repository, or a diffusers folder on this machine.

    Raises UserError naming the known models.
    """
    wanted = name.strip().lower()
    for known in ENTRIES:
        if wanted in (known.name, (known.repo or "").lower()) and wanted:
            return known
    from pipelines.models.local import local_entry, looks_like_folder

    if looks_like_folder(name):
        return local_entry(Path(name).expanduser())
    names = ", ".join(known.name for known in ENTRIES)
    raise UserError(f"There is no model called {name[:80]!r}: choose one of {names}, or give the path of a model folder.")


def require(model: ModelEntry, ability: str = TEXT_TO_VIDEO) -> None:
    """Raise NotAvailable, in one sentence, when `model` cannot be used for `ability` here."""
    if ability not in model.can:
        able = ", ".join(known.name for known in ENTRIES if ability in known.can)
        raise NotAvailable(f"{model.title} is listed but cannot do {ability} in this version: choose one of {able}.")


def embedded() -> tuple[ModelEntry, ...]:
    """Those that come with the project."""
    return tuple(model for model in ENTRIES if model.path)
