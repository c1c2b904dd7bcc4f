"""The studio as one object: page, queue, store and the routes beside gradio's."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pipelines import methods
from pipelines.errors import UserError
from pipelines.events import Event, Progress
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.methods.grid.request import GridRequest
from pipelines.models.registry import ROOT, TEXT_TO_VIDEO, entries, entry
from pipelines.requests import Request, VideoRequest
from studio import media
from studio.adapters import adapters_here
from studio.api import Api
from studio.examples import FOLDER as EXAMPLES
from studio.jobs import Jobs
from studio.jobs.worker import Run
from studio.library import Library
from studio.library.clip_routes import ClipRoutes
from studio.library.photo_routes import PhotoRoutes
from studio.library.routes import LibraryRoutes
from studio.markup import element
from studio.panels.face import face_panel
from studio.panels.generate import generate_panel
from studio.panels.grid import grid_panel
from studio.panels.library import library_panel
from studio.panels.motion import motion_panel
from studio.panels.storyboard import storyboard_panel
from studio.panels.subject import subject_panel
from studio.panels.train import train_panel
from studio.theme import theme

DEFAULT_MODEL = VideoRequest.model_fields["model"].default
HOUR = 3600
STATIC = Path(__file__).parent / "static"
ICON = ROOT / "assets" / "icons" / "likeness.svg"
SHEETS = ("fonts", "look", "form", "stage", "clips", "subjects", "source", "inspector", "motion", "face", "shots", "board", "grid", "train")
STYLES = "\n".join(f'<link rel="stylesheet" href="studio/static/{name}.css">' for name in SHEETS)
# gradio adds this after its own scripts have run; what it calls before our module is there waits for the promise
HEAD = f"""<script>window.likenessReady = new Promise((done) => {{ window.likenessLoaded = done; }});</script>
<meta name="description" content="Likeness, a video studio">
{STYLES}
<script type="module" src="studio/static/studio.js"></script>"""

log = logging.getLogger("likeness.studio")


@dataclass(frozen=True)
class Studio:
    """A built studio. `launch` serves it, `close` ends it.

    Attributes:
        ready: set once the heavy libraries are loaded.
        trains: whether visitors may train adapters.
    """

    page: gr.Blocks
    jobs: Jobs
    store: Any
    library: Library
    ready: threading.Event
    trains: bool = True

    def launch(self, **options: Any) -> str:
        """Start the web server, then load the model and start the worker; returns the address. Raises UserError when it cannot listen.

        `options` are gradio's: server_name, server_port, share, inbrowser.
        """
        try:
            with redirect_stdout(io.StringIO()):  # gradio explains a missing public link in ten lines; app.py says it in one
                _, address, _ = self.page.launch(**self._options(), **options)
        except OSError as error:
            why = error.strerror or "the port is taken"
            raise UserError(f"The studio cannot listen there ({why}); choose another --port or --host.") from error
        threading.Thread(target=self._warm, name="warm", daemon=True).start()
        self.jobs.start()
        return address

    def _options(self) -> dict[str, Any]:
        """Look and behaviour of the page, whatever the address."""
        return {
            "theme": theme(),
            "head": HEAD,
            "favicon_path": ICON,
            "footer_links": [],
            "run_history": False,
            "enable_monitoring": False,
            "ssr_mode": False,
            "mcp_server": False,
            "max_file_size": "256mb",
            "app_kwargs": self.app_kwargs(),
            "prevent_thread_lock": True,
            "quiet": True,
        }

    def app_kwargs(self) -> dict[str, Any]:
        """For the web application: our routes, which win over gradio's, and the visitor cookie."""
        own = media.app_kwargs(self.jobs)
        files = {"/studio/static": STATIC, "/studio/examples": EXAMPLES}
        mounts: list[BaseRoute] = [Mount(path, _Static(directory=folder, check_dir=False)) for path, folder in files.items()]
        return own | {"routes": [*own["routes"], *self._endpoints(), *mounts]}

    def _endpoints(self) -> list[Route]:
        api = Api(self.jobs, self.store, self.library, self.trains)
        own = [kind(self.library, self.jobs, self.ready) for kind in (LibraryRoutes, ClipRoutes, PhotoRoutes)]
        return [*api.routes(), *(route for one in own for route in one.routes())]

    def _warm(self) -> None:
        """Load the default model, if it is here, so that the first clip does not wait for it; then let the jobs through."""
        try:
            if self.store.folder(entry(DEFAULT_MODEL)) is not None:
                self.store.get(DEFAULT_MODEL)
        except UserError as error:  # the job that needs the model will say so where the visitor sees it
            log.warning("the model %s was not loaded ahead: %s", DEFAULT_MODEL, error)
        finally:
            self.ready.set()

    def close(self) -> None:
        """Stop serving and send the worker home; the running job counts as interrupted."""
        self.page.close(verbose=False)
        self.jobs.stop()


class _Static(StaticFiles):
    """Asks the browser to look for a newer file each time (an unchanged one costs a 304), so that an update is seen at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def build(home: Path | None = None, trains: bool = True) -> Studio:
    """Queue, store and page over the data folder `home` (None: the user's own).

    Args:
        trains: whether visitors may train adapters: for hours, on a machine that all of them share.
    """
    from pipelines.backbones import open_store

    store = open_store(home)
    ready = threading.Event()
    library = Library(Path(store.home) / "studio" / "visitors")
    jobs = Jobs(Path(store.home) / "studio", _after(ready, store, library))
    return Studio(_page(trains), jobs, store, library, ready, trains)


def _after(ready: threading.Event, store: Any, library: Library) -> Run:
    """Runs requests once `ready` is set: two threads that import diffusers for the first time at once find it half-made."""

    def run(request: Request, owner: str) -> Iterator[Event]:
        while not ready.wait(0.2):
            yield Progress("loading the model")
        yield from methods.run(request, store, library.files(owner))

    return run


def _page(trains: bool = True) -> gr.Blocks:
    models = [(one.title, one.name) for one in entries() if TEXT_TO_VIDEO in one.can]
    with gr.Blocks(title="Likeness", fill_width=True, analytics_enabled=False, delete_cache=(HOUR, 24 * HOUR)) as page:
        element("likeness-header", _header())
        with gr.Tabs(elem_classes="lk-tabs"):
            with gr.Tab("Generate", id="generate"):
                generate_panel(page, models)
            with gr.Tab("Subject", id="subject"):
                subject_panel(page, models)
            with gr.Tab("Motion", id="motion"):
                motion_panel(page, models)
            with gr.Tab("Storyboard", id="storyboard"):
                storyboard_panel(page, models)
            if adapters_here(GridRequest.method):
                with gr.Tab("Grid", id="grid"):
                    grid_panel(page, models)
            if adapters_here(FaceRequest.method):  # without one the tab could do nothing
                with gr.Tab("Face", id="face"):
                    face_panel(page, models)
            if trains:
                with gr.Tab("Train", id="train"):
                    train_panel(page, models)
            with gr.Tab("Library", id="library"):
                library_panel()
    return page


def _header() -> str:
    logo = ICON.read_text(encoding="utf-8")
    return f'<h1 class="lk-brand">{logo}<span>Likeness</span></h1><likeness-status></likeness-status><likeness-theme></likeness-theme>'
