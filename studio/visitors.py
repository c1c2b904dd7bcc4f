"""Who is who: every browser gets a random visitor id in a cookie, and owns the jobs it submits.

The id itself never leaves the cookie; rows and logs carry a digest of it, so that neither lets anybody in.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.errors import UserError

COOKIE = "likeness_visitor"
YEAR = 365 * 24 * 3600
_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}\Z")  # secrets.token_urlsafe(32)


def owner_of(request: Any) -> str:
    """The owner that a gradio or starlette request speaks for, 32 hex digits; raises UserError without a visitor cookie."""
    visitor = dict(getattr(request, "cookies", None) or {}).get(COOKIE, "")
    if not _SHAPE.match(visitor):
        raise UserError("This page does not know who you are; allow cookies for this address and reload it.")
    return hashlib.sha256(visitor.encode()).hexdigest()[:32]


class VisitorMiddleware:
    """ASGI middleware that gives a cookie to whoever comes without one and renews it whenever a page is opened.

    The new cookie is added to the incoming request too, so that the first request already speaks for its visitor.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        known = _SHAPE.match(_cookie(scope))
        if known and not _opens_a_page(scope):
            await self.app(scope, receive, send)
            return
        visitor = known.group() if known else secrets.token_urlsafe(32)
        line = _set_cookie(visitor, scope)  # with each page, so that the year begins anew

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", line)
            await send(message)

        await self.app(scope if known else _known_as(visitor, scope), receive, send_with_cookie)


def _opens_a_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "")


def _cookie(scope: Scope) -> str:
    return Request(scope).cookies.get(COOKIE, "")


def _known_as(visitor: str, scope: Scope) -> Scope:
    """The scope as if the browser had sent the cookie, beside its others and in place of any malformed one."""
    cookies = Request(scope).cookies | {COOKIE: visitor}
    line = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode("latin-1", "ignore")
    others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
    return {**scope, "headers": [*others, (b"cookie", line)]}


def _set_cookie(visitor: str, scope: Scope) -> str:
    """Lax and HttpOnly; inside another site's frame (a hosted Space) browsers only keep a partitioned cookie over https."""
    headers = Headers(scope=scope)
    secure = "https" in (scope.get("scheme"), headers.get("x-forwarded-proto"))
    framed = headers.get("sec-fetch-dest") == "iframe" and headers.get("sec-fetch-site") == "cross-site"
    line = f"{COOKIE}={visitor}; Path=/; Max-Age={YEAR}; HttpOnly"
    if secure and framed:
        return line + "; SameSite=None; Secure; Partitioned"
    return line + "; SameSite=Lax" + ("; Secure" if secure else "")
