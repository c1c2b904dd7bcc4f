"""What a hub repository holds, and which of its files a model needs: safetensors and text, never pickles."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipelines.errors import NotAvailable
from pipelines.models.registry import ModelEntry

SUFFIXES = {".safetensors", ".json", ".txt", ".model"}
VARIANT = re.compile(r"\.(fp16|bf16|fp8|ema|non_ema)[.-]")  # second copies of the same weights
TIMEOUT = 10.0  # seconds without an answer
PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that a later attempt may not get
HUB = "https://huggingface.co"


class Unreachable(NotAvailable):
    """The hub does not answer now; another attempt may help."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: path, bytes, and the checksum that the hub gives (sha256 for large files, git's sha1 else)."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str | None

    def matches(self, path: Path, on_bytes=lambda count: None) -> bool:
        """Whether the file at `path` has this checksum; `on_bytes` hears of every block and may raise to stop."""
        if path.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(2**22):
                digest.update(block)
                on_bytes(len(block))
        expected = self.sha256 or self.git_sha1
        return expected is None or digest.hexdigest() == expected


def endpoint() -> str:
    """The hub's address; HF_ENDPOINT names a mirror."""
    return os.environ.get("HF_ENDPOINT", HUB).rstrip("/")


def listing(entry: ModelEntry) -> tuple[str, list[RemoteFile]]:
    """The commit and the files of a model's repository at its pinned revision. Raises UserError in one sentence."""
    from huggingface_hub import HfApi

    with plain_errors(entry):
        info = HfApi(endpoint=endpoint()).model_info(entry.repo, revision=entry.revision, files_metadata=True, timeout=TIMEOUT)
    files = [_remote(sibling) for sibling in info.siblings or ()]
    return info.sha or entry.revision or "main", [file for file in files if _safe(file.path)]


def wanted(files: list[RemoteFile], components: list[str]) -> list[RemoteFile]:
    """The files of the pipeline's components plus its index and licence; single-file checkpoints and pickles stay where they are."""
    return [file for file in files if _is_wanted(PurePosixPath(file.path), components)]


def _is_wanted(path: PurePosixPath, components: list[str]) -> bool:
    if len(path.parts) == 1:
        return path.name == "model_index.json" or path.name.lower().startswith("license")
    return path.parts[0] in components and path.suffix in SUFFIXES and not VARIANT.search(path.name)


def _remote(sibling) -> RemoteFile:
    lfs = sibling.lfs
    return RemoteFile(sibling.rfilename, sibling.size or 0, lfs.sha256 if lfs else None, None if lfs else sibling.blob_id)


def _safe(path: str) -> bool:
    """A name that stays inside the folder, on any system."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and not any(mark in path for mark in "\\:\0")


@contextmanager
def plain_errors(entry: ModelEntry) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence with the way out."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    page = f"{endpoint()}/{entry.repo}"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise NotAvailable(f"{entry.title} cannot be downloaded while HF_HUB_OFFLINE is set: unset it and try again.") from error
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise NotAvailable(_no_permission(page)) from error
    except HfHubHTTPError as error:
        code = error.response.status_code
        if code in (401, 403, 404):
            raise NotAvailable(_no_permission(page)) from error
        kind = Unreachable if code in PASSING else NotAvailable
        raise kind(f"{entry.title} cannot be downloaded, because {page} answered {code}: try again later.") from error
    except (ConnectionError, TimeoutError, *_network_errors()) as error:
        raise Unreachable(_offline(entry)) from error


def _no_permission(page: str) -> str:
    return f"{page} cannot be read: accept its licence there and sign in with `hf auth login`."


def _offline(entry: ModelEntry) -> str:
    return (
        f"{entry.title} cannot be downloaded, because {endpoint()} cannot be reached: connect to the internet and try again, "
        "or give the path of a folder that holds the model."
    )


def _network_errors() -> tuple[type[Exception], ...]:
    """The transport errors of whichever HTTP client huggingface_hub uses."""
    from huggingface_hub.utils import get_session

    module = type(get_session()).__module__.partition(".")[0]
    return (__import__(module).TransportError,)
