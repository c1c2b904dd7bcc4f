"""The visitor's own subjects and LoRAs on disk, and what a request means by their names.

visitors/<owner>/pictures/   uploads, see `studio.library.pictures`
visitors/<owner>/subjects/   one folder each, see `pipelines.methods.subject_adaptation.subject`
visitors/<owner>/loras/      safetensors files
visitors/<owner>/clips/      clips whose motion is taken over or that stand in grids, see `studio.library.clips`
visitors/<owner>/photos/     photos of people, and pictures of subjects, see `studio.library.photos`
visitors/<owner>/adapters/   adapters that were trained here, see `studio.library.adapters`
visitors/<owner>/boards/     boards that are not finished, one folder each, which the method fills
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.files import Files
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.plan import prompt_of as grid_prompt_of
from pipelines.methods.grid.request import GridRequest
from pipelines.methods.motion_transfer.request import MotionRequest
from pipelines.methods.storyboard.request import StoryboardRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.methods.subject_adaptation.subject import CARD, REFERENCES, Subject, in_prompt, read_subject, token_of, write_card
from pipelines.methods.zero_shot_subject.plan import prompt_of
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.methods.zero_shot_subject.words import CLS
from pipelines.requests import Request, VideoRequest
from studio.adapters import usable_adapter
from studio.face_models import usable_pack
from studio.library.adapters import Adapters
from studio.library.bin import Bin
from studio.library.clips import Clips
from studio.library.photos import Photos
from studio.library.pictures import Pictures, safe_stem
from studio.trainings import TRAINED, TrainRequest, name_of

_SLUG = re.compile(r"[a-z0-9-]{1,44}")
_LORA = re.compile(r"[\w .-]{1,60}\.safetensors")
MOST = 200
"""Subjects, and LoRAs, that a visitor may keep."""
MOST_BOARDS = 20
"""Unfinished boards that are kept for a visitor: more than may wait at once."""
PICTURED = "pictured"
"""What the Generate tab sends along when its clip is of the subject in a picture."""
OF_PICTURES = frozenset(SubjectRequest.model_fields) - frozenset(VideoRequest.model_fields) | {PICTURED}
"""Settings of the Generate tab that are about the picture alone."""


class Library:
    """Every call names its owner; what is somebody else's cannot be named.

    Args:
        root: folder of all visitors' folders; made when something is kept.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, owner: str) -> Files:
        """How the owner's requests find files."""
        return Files(self._folder(owner))

    def pictures(self, owner: str) -> Pictures:
        """The owner's uploads."""
        return Pictures(self._folder(owner) / "pictures")

    def clips(self, owner: str) -> Clips:
        """The owner's source clips."""
        return Clips(self._folder(owner) / "clips")

    def photos(self, owner: str) -> Photos:
        """The owner's photos of people."""
        return Photos(self._folder(owner) / "photos")

    def adapters(self, owner: str) -> Adapters:
        """The adapters that the owner has trained."""
        return Adapters(self._folder(owner) / "adapters")

    def contents(self, owner: str) -> dict[str, Any]:
        """All subjects, source clips, photos and adapters, the newest first, and LoRAs, as the page reads them; a damaged subject
        says so.
        """
        folders = [card.parent for card in self._subjects(owner).glob(f"*/{CARD}") if _SLUG.fullmatch(card.parent.name)]
        folders.sort(key=_changed, reverse=True)
        own = {"clips": self.clips(owner).all(), "photos": self.photos(owner).all(), "adapters": self.adapters(owner).all()}
        brought = {name: [one.to_json() for one in pieces] for name, pieces in own.items()}
        return {"subjects": [_told(folder) for folder in folders], "loras": self.loras(owner), **brought}

    # --- subjects ------------------------------------------------------------------------------------------------

    def subject(self, owner: str, slug: str) -> Path:
        """The folder of a subject; raises UserError if there is none of that name."""
        folder = self._subjects(owner) / slug
        if not _SLUG.fullmatch(slug) or not folder.is_dir():
            raise UserError("There is no such subject in your library; it may have been deleted.")
        return folder

    def reference(self, owner: str, slug: str, index: int) -> Path:
        """One of a subject's pictures; raises UserError if there is none of that number."""
        file = self.subject(owner, slug) / REFERENCES / f"{index:02d}.png"
        if not file.is_file():
            raise UserError("The subject has no such picture.")
        return file

    def rename(self, owner: str, slug: str, name: str) -> None:
        """Call a subject something else; its word in prompts stays what it is. Raises UserError for an impossible or taken name."""
        folder = self.subject(owner, slug)
        name = name.strip()
        token_of(name)
        if any(other["name"] == name and other["slug"] != slug for other in self.contents(owner)["subjects"]):
            raise UserError(f"There is a subject called {name} already: choose another name.")
        write_card(folder, read_subject(folder).model_copy(update={"name": name}))

    def delete(self, owner: str, slug: str) -> None:
        """Take a subject out of sight; `undo_delete` brings it back for ten minutes."""
        self.subject(owner, slug)
        Bin(self._subjects(owner)).put(slug)

    def undo_delete(self, owner: str, slug: str) -> None:
        """Bring a deleted subject back."""
        if not _SLUG.fullmatch(slug):
            raise UserError("There is no such subject to bring back.")
        Bin(self._subjects(owner)).back(slug)

    def export(self, owner: str, slug: str, file: Path) -> Path:
        """Write a subject as a zip to `file`."""
        from pipelines.methods.subject_adaptation.archive import pack

        return pack(self.subject(owner, slug), file)

    def take_in(self, owner: str, file: Path) -> str:
        """Keep the subject in a zip; returns its slug. Raises UserError, and keeps nothing, for anything else."""
        from pipelines.methods.subject_adaptation.archive import unpack

        self._check_room(self._subjects(owner))
        fresh = self._subjects(owner) / f".import-{secrets.token_hex(8)}"
        subject = unpack(file, fresh)
        slug = self._free_slug(owner, subject.name)
        os.replace(fresh, self._subjects(owner) / slug)
        return slug

    # --- LoRAs ---------------------------------------------------------------------------------------------------

    def loras(self, owner: str) -> list[dict[str, Any]]:
        """The owner's LoRAs by name: file, its name in requests, bytes."""
        files = sorted(file for file in self._loras(owner).glob("*.safetensors") if _LORA.fullmatch(file.name))
        return [{"file": file.name, "lora": f"loras/{file.name}", "bytes": file.stat().st_size} for file in files]

    def take_in_lora(self, owner: str, file: Path, name: str) -> str:
        """Keep a LoRA file; returns what it is called here. Raises UserError for anything that is none."""
        from pipelines.backbones.lora_files import check_lora

        check_lora(file)
        folder = self._loras(owner)
        self._check_room(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stem, number = safe_stem(name), 1
        target = folder / f"{stem}.safetensors"
        while target.exists():
            number += 1
            target = folder / f"{stem}-{number}.safetensors"
        with tempfile.TemporaryDirectory(dir=folder, prefix=".import-") as fresh:
            partial = Path(fresh) / "lora"
            shutil.copyfile(file, partial)
            os.replace(partial, target)
        return target.name

    def delete_lora(self, owner: str, name: str) -> None:
        """Take a LoRA out of sight; `undo_delete_lora` brings it back for ten minutes."""
        if not _LORA.fullmatch(name) or not (self._loras(owner) / name).is_file():
            raise UserError("There is no such LoRA in your library; it may have been deleted.")
        Bin(self._loras(owner)).put(name)

    def undo_delete_lora(self, owner: str, name: str) -> None:
        """Bring a deleted LoRA back."""
        if not _LORA.fullmatch(name):
            raise UserError("There is no such LoRA to bring back.")
        Bin(self._loras(owner)).back(name)

    # --- requests ------------------------------------------------------------------------------------------------

    def settle(self, owner: str, request: Request) -> Request:
        """What a form's request amounts to: without a subject a plain clip, with a picture one of what it shows; an adaptation is
        kept under the subject's name, another training in a folder of its own; a board has all its seeds, so that single shots can
        be drawn again, and a folder to go on in.
        """
        if isinstance(request, PersonaliseRequest):
            return _meant(request)
        if isinstance(request, TrainRequest):
            return request.model_copy(update={"folder": self.adapters(owner).fresh(name_of(request))})
        if isinstance(request, AdaptRequest) and request.name.strip():
            return request.model_copy(
                update={"folder": f"subjects/{self._slug_of(owner, request.name.strip())}", "name": request.name.strip()}
            )
        if isinstance(request, StoryboardRequest):
            return request.with_seed().model_copy(update={"folder": self._board(owner)})
        return request

    def reads(self, owner: str, request: Request) -> str:
        """The prompt as the model will read it, the subject named in it, or built from the cells of a grid; "" where there is none.

        Raises UserError for a prompt that does not speak of the subject, a subject of another model, and files that are not there.
        A source clip or a photo that is yet to be chosen is none of these.
        """
        files = self.files(owner)
        if isinstance(request, VideoRequest) and request.lora and not files.find(request.lora).is_file():
            raise UserError("There is no such LoRA in your library; choose another one.")
        if isinstance(request, MotionRequest) and request.source.strip() and not self._is_clip(owner, request.source):
            raise UserError("The source clip is not among your clips; choose another one, or add it again.")
        if isinstance(request, GridRequest):
            self._check_grid(owner, request)
            return grid_prompt_of(request).build()
        if isinstance(request, FaceRequest | SubjectRequest):
            self._check_picture(owner, request)
        if isinstance(request, SubjectRequest):
            return prompt_of(request) if CLS in prompt_of(request) else ""
        if not isinstance(request, PersonaliseRequest | StoryboardRequest) or not request.subject.strip():
            return ""
        card = read_subject(files.find(request.subject))
        if card.model != request.model:
            raise UserError(f"{card.name} was made on {card.model} and does not fit {request.model}: choose {card.model}.")
        return in_prompt(request.prompt, card) if request.prompt.strip() else ""

    def begin(self, owner: str, request: Request) -> None:
        """Take down what a training that is asked for will make; raises UserError for one adapter too many."""
        if isinstance(request, TrainRequest):
            self.adapters(owner).begin(request.folder, name_of(request), TRAINED[type(request)], request.model)

    def further(self, owner: str, slug: str, steps: int) -> AdaptRequest:
        """The request that trains a subject `steps` more; raises UserError for a damaged one or too few or many steps."""
        folder = self.subject(owner, slug)
        card = read_subject(folder)
        if steps < 1:
            raise UserError("Say how many more steps: 1 or more.")
        references = sorted(path.name for path in (folder / REFERENCES).glob("*.png"))
        settings = {"name": card.name, "class_word": card.class_word, "model": card.model, "seed": card.seed, "steps": card.steps + steps}
        settings |= {"images": tuple(f"subjects/{slug}/{REFERENCES}/{name}" for name in references), "folder": f"subjects/{slug}"}
        settings |= {"adapt_query": "query" in card.adapts}
        if card.preset in AdaptRequest.settings()["preset"]["choices"]:
            settings["preset"] = card.preset
        return AdaptRequest.read(settings)

    # -------------------------------------------------------------------------------------------------------------

    def _folder(self, owner: str) -> Path:
        if not re.fullmatch(r"[\w-]{1,64}", owner):
            raise UserError("This page does not know who you are; allow cookies for this address and reload it.")
        return self.root / owner

    def _check_picture(self, owner: str, request: FaceRequest | SubjectRequest) -> None:
        """Raise UserError for another's picture, and for an adapter or face models that are not here or do not fit the model."""
        self.photos(owner).check(request.photo if isinstance(request, FaceRequest) else request.image)
        self._check_adapter(owner, request)
        if isinstance(request, FaceRequest):
            usable_pack(request.pack)

    def _check_grid(self, owner: str, request: GridRequest) -> None:
        """Raise UserError for a cell with another's clip, concepts that are not there, and an adapter as for `_check_adapter`."""
        own = {clip.source for clip in self.clips(owner).all()}
        for name, cell in zip(Layout.read(request.layout).names, request.cells, strict=False):
            if cell.clip.strip() and cell.clip not in own:
                raise UserError(f"The clip in the cell {name} is not among your clips: choose another one, or add it again.")
        if request.concepts.strip() and not self.files(owner).find(request.concepts).exists():
            raise UserError("There are no such dynamic concepts in your library: leave them out.")
        if request.strength and request.adapter.strip():
            self._check_adapter(owner, request)

    def _check_adapter(self, owner: str, request: FaceRequest | SubjectRequest | GridRequest) -> None:
        """Raise UserError for an adapter that is neither here nor the owner's, and for one of the owner's that does not fit the model."""
        own = self.adapters(owner).named(request.adapter, request.method)
        if own is None:
            usable_adapter(request.method, request.adapter)
        elif own.base != request.model:
            raise UserError(f"{own.name} was trained on {own.base} and does not fit {request.model}: choose {own.base}.")

    def _is_clip(self, owner: str, source: str) -> bool:
        """Whether a request's source is one of the owner's clips."""
        return any(clip.source == source for clip in self.clips(owner).all())

    def _subjects(self, owner: str) -> Path:
        return self._folder(owner) / "subjects"

    def _loras(self, owner: str) -> Path:
        return self._folder(owner) / "loras"

    def _slug_of(self, owner: str, name: str) -> str:
        """The folder of the subject called `name`, or one that is free for it."""
        token_of(name)
        for one in self.contents(owner)["subjects"]:
            if one["name"] == name:
                return one["slug"]
        return self._free_slug(owner, name)

    def _free_slug(self, owner: str, name: str) -> str:
        stem, number = token_of(name).strip("<>"), 1
        slug = stem
        while (self._subjects(owner) / slug).exists():
            number += 1
            slug = f"{stem}-{number}"
        return slug

    def _board(self, owner: str) -> str:
        """What a fresh board's folder is called; of those that were left unfinished, the newest stay."""
        left = sorted((self._folder(owner) / "boards").glob("*"), key=_modified)
        for folder in left[:-MOST_BOARDS]:
            shutil.rmtree(folder, ignore_errors=True)
        return f"boards/{secrets.token_hex(8)}"

    def _check_room(self, folder: Path) -> None:
        if folder.is_dir() and sum(1 for path in folder.iterdir() if not path.name.startswith(".")) >= MOST:
            raise UserError(f"You keep {MOST} of these already: delete one first.")


def _meant(request: PersonaliseRequest) -> PersonaliseRequest | SubjectRequest | GenerateRequest:
    """Which of the three kinds of clips the Generate tab asks for, with the settings of that kind alone."""
    values = request.model_dump()
    if values.get(PICTURED):
        return SubjectRequest.read({name: values[name] for name in SubjectRequest.model_fields if name in values})
    if not request.subject.strip():
        return GenerateRequest.read({name: getattr(request, name) for name in VideoRequest.model_fields})
    own = {name: value for name, value in values.items() if name not in OF_PICTURES}
    return request if len(own) == len(values) else PersonaliseRequest.read(own)


def _changed(folder: Path) -> float:
    return _modified(folder / CARD)


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _told(folder: Path) -> dict[str, Any]:
    """A subject as the page reads it; only slug and problem if its card cannot be read."""
    row: dict[str, Any] = {"slug": folder.name, "subject": f"subjects/{folder.name}", "changed": _changed(folder)}
    try:
        card: Subject = read_subject(folder)
    except UserError as error:
        return row | {"name": folder.name, "problem": str(error)}
    known = ("name", "class_word", "token", "phrase", "model", "steps", "rank", "alpha", "adapts", "preset", "loss_every")
    return (
        row
        | {name: getattr(card, name) for name in known}
        | {
            "losses": [round(loss, 5) for loss in card.losses[-2000:]],
            "pictures": len(list((folder / REFERENCES).glob("*.png"))),
            "problem": "",
        }
    )
