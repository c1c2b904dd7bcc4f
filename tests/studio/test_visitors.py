"""The visitor cookie: who gets one, what is taken for one, and what it is turned into."""

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pipelines.errors import UserError
from studio.visitors import COOKIE, VisitorMiddleware, owner_of


@pytest.fixture
def client() -> TestClient:
    async def whoami(request: Request) -> PlainTextResponse:
        return PlainTextResponse(owner_of(request) + " " + request.cookies.get("other", "-"))

    return TestClient(Starlette(routes=[Route("/", whoami)], middleware=[Middleware(VisitorMiddleware)]))


def test_the_first_request_already_has_an_owner_and_keeps_it(client):
    first = client.get("/", headers={"cookie": "other=kept"})
    line = first.headers["set-cookie"]
    assert "HttpOnly" in line and "SameSite=Lax" in line and "Secure" not in line
    assert first.text.endswith(" kept")
    again = client.get("/")
    assert again.text.split()[0] == first.text.split()[0] and "set-cookie" not in again.headers


def test_opening_the_page_renews_the_cookie(client):
    owner = client.get("/").text
    cookie = client.cookies[COOKIE]
    page = client.get("/", headers={"accept": "text/html,*/*"})
    assert page.text == owner and page.headers["set-cookie"].startswith(f"{COOKIE}={cookie};")


def test_two_browsers_are_two_visitors_and_the_owner_does_not_show_the_cookie(client):
    first = client.get("/").text.split()[0]
    cookie = client.cookies[COOKIE]
    client.cookies.clear()
    assert client.get("/").text.split()[0] != first
    assert len(cookie) == 43 and cookie not in first and first not in cookie


@pytest.mark.parametrize("cookie", ["", "short", "x" * 44, "../" * 15, "ä" * 43, 'a"' * 30])
def test_what_is_no_cookie_of_ours_is_replaced(client, cookie):
    answer = client.get("/", headers={b"cookie": f"{COOKIE}={cookie}; other=kept".encode("latin-1", "ignore")})
    assert COOKIE in answer.headers["set-cookie"] and answer.text.endswith(" kept")


def test_inside_another_sites_frame_the_cookie_is_partitioned(client):
    frame = {"x-forwarded-proto": "https", "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}
    line = client.get("/", headers=frame).headers["set-cookie"]
    assert line.endswith("SameSite=None; Secure; Partitioned")
    client.cookies.clear()
    assert client.get("/", headers={"x-forwarded-proto": "https"}).headers["set-cookie"].endswith("SameSite=Lax; Secure")


def test_gradio_and_starlette_requests_mean_the_same_owner():
    cookie = "c" * 43
    web = Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]})
    assert owner_of(web) == owner_of(gr.Request(web)) == owner_of(gr.Request(cookies={COOKIE: cookie}))
    with pytest.raises(UserError, match="cookies"):
        owner_of(Request({"type": "http", "headers": []}))
