"""What the page's own endpoints share: who may ask, how a body is read, how an answer or a refusal is written."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.requests import ClientDisconnect
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response

from pipelines.errors import UserError
from studio.jobs.sentences import sentence

_SAFE = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
FRESH = _SAFE | {"Cache-Control": "private, no-store"}
KEEP = _SAFE | {"Cache-Control": "private, max-age=3600"}
MAX_BODY = 256 * 1024  # a request is text; far more than any prompt
log = logging.getLogger("likeness.studio")


def answered(endpoint: Callable[[WebRequest], Awaitable[dict[str, Any]]]) -> Callable[[WebRequest], Awaitable[Response]]:
    """Turn what an endpoint returns or raises into one JSON answer."""

    async def handler(web: WebRequest) -> Response:
        try:
            return JSONResponse(await endpoint(web), headers={"Cache-Control": "no-store"})
        except UserError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except ClientDisconnect:  # an upload that was cancelled: nobody reads this
            return JSONResponse({"error": "The upload broke off; try again."}, status_code=400)
        except Exception:
            log.exception("the page's request %s failed", web.url.path)
            return JSONResponse({"error": "The studio could not do that; its log says why."}, status_code=500)

    return handler


def guarded(answer: Callable[[WebRequest], Response]) -> Callable[[WebRequest], Response]:
    """A plain function for reading, which starlette runs in its thread pool; what it refuses becomes a 404 with the sentence."""

    def endpoint(web: WebRequest) -> Response:
        try:
            return answer(web)
        except UserError as error:
            return JSONResponse({"error": str(error)}, status_code=404, headers=FRESH)
        except Exception as error:  # a full disk while exporting, say
            message = sentence(error, web.path_params.get("job_id", "")[:6])
            return JSONResponse({"error": message}, status_code=500, headers=FRESH)

    return endpoint


def drawn(answer: Callable[[WebRequest], Awaitable[Response]]) -> Callable[[WebRequest], Awaitable[Response]]:
    """The same for what is waited for before it goes to a thread."""

    async def endpoint(web: WebRequest) -> Response:
        try:
            return await answer(web)
        except UserError as error:
            return JSONResponse({"error": str(error)}, status_code=404, headers=FRESH)
        except Exception as error:
            return JSONResponse({"error": sentence(error, "of a drawing")}, status_code=500, headers=FRESH)

    return endpoint


def ours(web: WebRequest) -> None:
    """Raise UserError for a change that another page asks for: it cannot send our header."""
    if web.headers.get("x-likeness") != "1":
        raise UserError("This request did not come from the studio's own page.")


async def body(web: WebRequest) -> dict[str, Any]:
    """The JSON object of a change; raises UserError for anything else."""
    ours(web)
    data = b""
    async for piece in web.stream():
        data += piece
        if len(data) > MAX_BODY:
            raise UserError("These settings are too long; shorten the prompt.")
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UserError("The page sent something the studio cannot read; reload it.")
    return values


@asynccontextmanager
async def received(web: WebRequest, suffix: str, most: int, too_large: str) -> AsyncIterator[Path]:
    """The file that comes as the body, on disk while the `with` lasts; raises UserError(`too_large`) above `most` bytes."""
    ours(web)
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        size = 0
        async for piece in web.stream():
            size += len(piece)
            if size > most:
                raise UserError(too_large)
            file.write(piece)
        file.flush()
        yield Path(file.name)


def name_of(web: WebRequest, default: str) -> str:
    """What the file in the body is called, as the page says in its header; not to be trusted as a path."""
    return unquote(web.headers.get("x-name", ""))[:200] or default
