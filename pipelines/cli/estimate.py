"""`--estimate`: what a run would take, without running it."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipelines.cli.report import human_bytes, human_seconds
from pipelines.methods import planner
from pipelines.models.registry import entry
from pipelines.models.store import ModelStore
from pipelines.requests import Request


def show_estimate(request: Request, store: ModelStore, as_json: bool) -> int:
    """Print the snapped request's notes and its time, memory and download. Raises UserError for what cannot be run."""
    planning = planner(request)
    model = entry(request.model)
    planning.check(request)
    planned = planning.plan(request, model)
    cost = planning.estimate(planned.request, model, store.folder(model) is not None)
    if as_json:
        print(json.dumps(asdict(cost) | {"notes": planned.notes, "request": json.loads(planned.request.to_json())}))
        return 0
    for note in planned.notes:
        print(f"note: {note}")
    download = f", after a download of {human_bytes(cost.download_bytes)}" if cost.download_bytes else ""
    print(f"about {human_seconds(cost.seconds)} and {human_bytes(cost.memory_bytes)} of memory{download}")
    return 0
