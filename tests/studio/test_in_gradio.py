"""The routes and the cookie inside a real gradio server."""

import gradio as gr
import httpx
import pytest
from procedural import ended, quick, slow, wait_for
from starlette.requests import Request

from studio.media import app_kwargs
from studio.visitors import COOKIE, owner_of


@pytest.fixture
def address(jobs):
    """A page with one handler that submits a job for whoever asks."""

    def go(seconds: float, request: gr.Request) -> str:
        return jobs.submit(owner_of(request), slow(step_seconds=seconds) if seconds else quick())

    with gr.Blocks(analytics_enabled=False) as page:
        seconds, answer = gr.Number(), gr.Textbox()
        gr.Button().click(go, seconds, answer, api_name="go")
    _, address, _ = page.launch(app_kwargs=app_kwargs(jobs), ssr_mode=False, prevent_thread_lock=True, quiet=True)
    yield address
    page.close(verbose=False)


def call(browser: httpx.Client, seconds: float) -> None:
    event = browser.post("gradio_api/call/go", json={"data": [seconds]}).json()["event_id"]
    assert "event: complete" in browser.get(f"gradio_api/call/go/{event}").text


def test_a_handler_and_the_routes_see_the_same_visitor(jobs, address):
    with httpx.Client(base_url=address) as ada, httpx.Client(base_url=address) as eve:
        for browser in (ada, eve):
            assert COOKIE in browser.get("/", headers={"accept": "text/html"}).headers["set-cookie"]
        call(ada, 0.2)
        (job,) = ada.get("studio/jobs").json()
        assert eve.get("studio/jobs").json() == [] and eve.get(f"studio/jobs/{job['id']}").status_code == 404
        owner = owner_of(Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={ada.cookies[COOKIE]}".encode())]}))
        wait_for(jobs, owner, job["id"], lambda now: now.preview_version > 0)
        assert ada.get(f"media/{job['id']}/preview.webp").headers["content-type"] == "image/webp"
        jobs.cancel(owner, job["id"])
        wait_for(jobs, owner, job["id"], ended)
        call(ada, 0)
        newest = ada.get("studio/jobs").json()[0]["id"]
        wait_for(jobs, owner, newest, lambda now: now.state == "done")
        part = ada.get(f"media/{newest}/clip.mp4", headers={"range": "bytes=0-7", "accept-encoding": "br, gzip"})
        assert (part.status_code, len(part.content)) == (206, 8) and "content-encoding" not in part.headers
