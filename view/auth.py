"""Who may read the pages, and what a browser may do with them.

On loopback whoever uses this machine may read, unless a token is asked for. A web page elsewhere must not: it could make its
own name point here (DNS rebinding), so the `Host` has to be a name of the loopback. On any other address a token decides,
which a foreign page's name has no cookie for. Nothing can be changed: only GET and HEAD are answered.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""No inline script and no inline style, so that text that got onto a page as markup would still do nothing."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own, which no other machine can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets requests through to the pages, or does not."""

    def __init__(self, app: ASGIApp, *, token: str | None, loopback: bool, port: int = 0) -> None:
        self._app = app
        self._token = token
        self._loopback = loopback
        self._cookie = f"burnish_view_{port}"
        """With the port in its name, since a machine's ports share their cookies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"the viewer does not speak {scope['type']}")

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, marked)

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered in place of the page; None if it may be read."""
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only GET and HEAD\n", 405, {"allow": "GET, HEAD"})
        if self._loopback and not is_loopback(_name(headers.get("host", ""))):
            return PlainTextResponse("this viewer answers to localhost only\n", 421)
        if self._token is None:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if given and self._knows(given):
            return self._let_in(scope, [(name, value) for name, value in query if name != "token"])
        if self._knows([cookie_parser(c).get(self._cookie, "") for c in headers.getlist("cookie")]):
            return None
        return PlainTextResponse("open the address that burnish view printed, with its token\n", 401)

    def _knows(self, given: Sequence[str]) -> bool:
        token = (self._token or "").encode()
        return any(hmac.compare_digest(one.encode("utf-8", "surrogatepass"), token) for one in given)

    def _let_in(self, scope: Scope, rest: Sequence[tuple[str, str]]) -> Response:
        """To the same page without the token in its address, which histories keep."""
        # One slash only: `//name` would lead to another machine.
        path = "/" + quote(scope["path"].lstrip("/\\"))
        answer = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
        answer.set_cookie(self._cookie, self._token or "", httponly=True, samesite="strict", path="/")
        return answer


def _name(host: str) -> str:
    """A `Host` without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if host.count(":") == 1 else host
