"""Routes beside gradio's: clips, posters, previews, steps and the state of the jobs, each for its owner alone.

An id that does not exist and one that belongs to somebody else both give 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pipelines.errors import UserError
from pipelines.methods.storyboard.request import MOST_SHOTS
from studio.inspect import SCREEN
from studio.jobs import Job, Jobs
from studio.jobs.drawings import Wanted
from studio.jobs.job import WAITING
from studio.jobs.shots import FILE as SHOT
from studio.jobs.shown import NO_SUCH
from studio.visitors import VisitorMiddleware, owner_of
from studio.web import FRESH, KEEP, guarded

SIDES = (32, 768)  # pixels: the smallest and the largest picture of a step
TYPES = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png", ".webp": "image/webp"}


def app_kwargs(jobs: Jobs) -> dict:
    """What `launch(app_kwargs=...)` takes: these routes, which win over gradio's, and the visitor cookie."""
    return {"routes": routes(jobs), "middleware": [Middleware(VisitorMiddleware)]}


def routes(jobs: Jobs) -> list[Route]:
    """GET /media/<id>/<clip.mp4|clip.gif|clip.png|source.mp4|poster.webp|preview.webp>, /studio/jobs and /studio/jobs/<id>.

    Of the steps: /media/<id>/seen.json says what there is (`shown.index_of`), /media/<id>/matches.json?step= what went where
    (`shown.matches_of`), and /media/<id>/seen.webp?name=&step=[&frame=][&side=] is a picture: `frame` is a number from 0 or "all"
    for every frame side by side (`inspect.sheet`), without it the picture plays; `side` is moved into `SIDES`.
    /media/<id>/curves.json has the values of each curve (`shown.curves_of`).

    Of a grid: /media/<id>/cell-top-left.mp4.

    Of a board: /media/<id>/shot-3.mp4 and shot-3-alone.mp4, and film.mp4?cut=3,<other id>:1 for shots in an order of one's own.

    Plain functions: starlette runs them in its thread pool, so that no disk or drawing holds up the event loop.
    """
    return [
        Route("/media/{job_id}/preview.webp", _guarded(jobs, _preview)),
        Route("/media/{job_id}/seen.webp", _guarded(jobs, _seen)),
        Route("/media/{job_id}/seen.json", _guarded(jobs, _steps), middleware=[Middleware(GZipMiddleware)]),
        Route("/media/{job_id}/matches.json", _guarded(jobs, _matches), middleware=[Middleware(GZipMiddleware)]),
        Route("/media/{job_id}/curves.json", _guarded(jobs, _curves), middleware=[Middleware(GZipMiddleware)]),
        Route("/media/{job_id}/film.mp4", _guarded(jobs, _film)),
        Route("/media/{job_id}/{name}", _guarded(jobs, _file)),
        Route("/studio/jobs", _guarded(jobs, _list), middleware=[Middleware(GZipMiddleware)]),
        Route("/studio/jobs/{job_id}", _guarded(jobs, _one)),
    ]


def job_json(job: Job) -> dict:
    """A job as the page reads it: every field of `Job`."""
    return {field.name: getattr(job, field.name) for field in fields(job)}


def _guarded(jobs: Jobs, answer: Callable[[Jobs, str, Request], Response]) -> Callable[[Request], Response]:
    return guarded(lambda request: answer(jobs, owner_of(request), request))


def _list(jobs: Jobs, owner: str, request: Request) -> Response:
    return JSONResponse([job_json(job) for job in jobs.list(owner)], headers=FRESH)


def _one(jobs: Jobs, owner: str, request: Request) -> Response:
    return JSONResponse(job_json(jobs.get(owner, request.path_params["job_id"])), headers=FRESH)


def _preview(jobs: Jobs, owner: str, request: Request) -> Response:
    picture = jobs.preview(owner, request.path_params["job_id"], request.query_params.get("name"))
    if picture is None:
        raise UserError("This job has no preview yet.")
    return Response(picture, media_type="image/webp", headers=FRESH)


def _seen(jobs: Jobs, owner: str, request: Request) -> Response:
    job_id, asked = request.path_params["job_id"], request.query_params
    frame = asked.get("frame")
    low, high = SIDES
    side = max(low, min(high, _number(asked.get("side", str(SCREEN)))))
    wanted = Wanted(asked.get("name", ""), _number(asked.get("step", "")), frame if frame in (None, "all") else _number(frame), side)
    ended = jobs.get(owner, job_id).state not in WAITING  # of a running job, a step may still be replaced
    return Response(jobs.seen(owner, job_id, wanted), media_type="image/webp", headers=KEEP if ended else FRESH)


def _steps(jobs: Jobs, owner: str, request: Request) -> Response:
    return JSONResponse(jobs.steps(owner, request.path_params["job_id"]), headers=FRESH)


def _matches(jobs: Jobs, owner: str, request: Request) -> Response:
    step = _number(request.query_params.get("step", ""))
    return JSONResponse(jobs.matches(owner, request.path_params["job_id"], step), headers=FRESH)


def _curves(jobs: Jobs, owner: str, request: Request) -> Response:
    return JSONResponse(jobs.curves(owner, request.path_params["job_id"]), headers=FRESH)


def _number(word: str) -> int:
    """A whole number out of a query; raises UserError for anything else."""
    if not re.fullmatch(r"-?[0-9]{1,9}", word):
        raise UserError(NO_SUCH)
    return int(word)


def _file(jobs: Jobs, owner: str, request: Request) -> Response:
    """A finished file; `?download` gives it a name and lets the browser save it."""
    job_id, name = request.path_params["job_id"], request.path_params["name"]
    finders: dict[str, Callable[[str, str], Path]] = {
        "clip.mp4": jobs.clip,
        "clip.gif": partial(jobs.export, suffix=".gif"),
        "clip.png": partial(jobs.export, suffix=".png"),
        "source.mp4": jobs.source,
        "poster.webp": jobs.poster,
    }
    if SHOT.fullmatch(name):
        return _sent(jobs, request, jobs.shot(owner, job_id, name), f"-{name.removesuffix('.mp4')}")
    if name not in finders:
        raise UserError("There is no such file.")
    return _sent(jobs, request, finders[name](owner, job_id))


def _film(jobs: Jobs, owner: str, request: Request) -> Response:
    """Shots by number, of the job itself or of the job named before the colon."""
    job_id, words = request.path_params["job_id"], request.query_params.get("cut", "").split(",")[:MOST_SHOTS]
    cut = [(before or job_id, f"shot-{number}.mp4") for before, _, number in (word.rpartition(":") for word in words)]
    return _sent(jobs, request, jobs.film(owner, job_id, cut), "-film")


def _sent(jobs: Jobs, request: Request, path: Path, ending: str = "") -> Response:
    """A file to its owner, under a name of its own if it is to be saved."""
    owner = owner_of(request)
    download = (
        file_name(jobs.get(owner, request.path_params["job_id"]), path.suffix, ending) if "download" in request.query_params else None
    )
    return FileResponse(path, headers=KEEP, media_type=TYPES[path.suffix], filename=download)


def file_name(job: Job, suffix: str, ending: str = "") -> str:
    """What a saved clip is called: the prompt's first words and the seed, then what it is of a board."""
    words = re.findall(r"\w+", str(job.request.get("prompt", "")).lower())
    parts = [*words[:8], *([str(job.seed)] if job.seed is not None else [])]
    return ("-".join(parts)[:80] or job.method) + ending + suffix
