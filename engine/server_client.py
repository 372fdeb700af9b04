"""The connection to a server: the `openai` client on an HTTP client of burnish's own. Imported only when an engine starts.

The client sends nothing again (burnish's retries do), follows no redirect, reads no proxy and no key, organisation or
header from the environment, and keeps as many connections as it is told to. Answers come as plain JSON and are
checked where they are read, since servers differ in what they leave out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import httpx2
import openai

from ..core.errors import BurnishError, GenerationFailed
from .server_errors import Unreachable, bad_response, interrupted, refusal, silent

NO_KEY = "none"
"""Sent in place of a key where none is named: the client wants one, and would take OPENAI_API_KEY."""
CONNECT_S = 30.0
"""Seconds for looking a host up and connecting to it, which stand in line when a thousand calls begin at once."""


class _Client(openai.AsyncOpenAI):
    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        """Only what the protocol needs: nothing about this machine, nothing from the environment."""
        return {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "burnish", **self.auth_headers}


class Connection:
    """Connections to one server."""

    def __init__(self, base_url: str, *, key: str | None, timeout: float, max_connections: int) -> None:
        """Connect to `base_url` when the first call is sent. After `timeout` silent seconds a call fails."""
        self._where, self._key, self._timeout = base_url, key or "", timeout
        wait = httpx2.Timeout(timeout, connect=min(timeout, CONNECT_S), pool=None)
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        http = httpx2.AsyncClient(timeout=wait, limits=limits, trust_env=False, follow_redirects=False)
        self._client = _Client(
            api_key=key or NO_KEY, admin_api_key="", base_url=base_url, timeout=wait, max_retries=0, http_client=http
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def get(self, path: str) -> Any:
        """The JSON, or else the text, at a path below the base URL, or at a whole URL of the same server.

        Raises:
            GenerationFailed: the server failed, or cannot be reached.
            EngineUnavailable: it does not know the path, or refuses the key.
        """
        try:
            return await self._client.get(path, cast_to=object)
        except _FAILURES as e:
            failed = self._failure(e)
        raise failed

    async def post(self, body: Mapping[str, Any], path: str = "/chat/completions") -> Mapping[str, Any]:
        """One answer, at a path below the base URL or at a whole URL of the same server.

        Raises:
            GenerationFailed: this call failed.
            EngineUnavailable: no call would succeed.
        """
        try:
            return _object(await self._client.post(path, cast_to=object, body=body))
        except _FAILURES as e:
            failed = self._failure(e)
        raise failed

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any]]:
        """The pieces of one answer, as they come. Closing this generator ends the call at the server.

        Raises:
            GenerationFailed: this call failed.
            EngineUnavailable: no call would succeed.
        """
        kind = openai.AsyncStream[object]
        try:
            answer = await self._client.post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=kind)
            async with answer:
                async for piece in answer:
                    yield _object(piece)
            return
        except _FAILURES as e:
            failed = self._failure(e)
        raise failed

    def _failure(self, error: openai.APIError | ValueError | RecursionError) -> BurnishError:
        """Burnish's error for one of the client's. That one holds the request with all its headers, so it is raised apart."""
        match error:
            case openai.APIStatusError():
                return refusal(error.status_code, error.body, error.response.headers, secret=self._key)
            case openai.APITimeoutError():
                if isinstance(error.__cause__, httpx2.ConnectTimeout):
                    return Unreachable(self._where, "no connection in time")
                return silent(self._timeout)
            case openai.APIConnectionError():
                why = str(error.__cause__ or error) or type(error.__cause__).__name__
                gone = isinstance(error.__cause__, httpx2.ConnectError)
                return Unreachable(self._where, why) if gone else interrupted(why)
            case openai.APIError():  # in the middle of a stream
                return refusal(_status(error.body), error.body, {}, secret=self._key)
            case UnicodeEncodeError():
                return GenerationFailed("the call holds text that is no Unicode", code="bad_request", hint="take surrogates out")
            case _:
                return bad_response(f"no JSON ({error})")


_FAILURES = (openai.APIError, ValueError, RecursionError)


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise bad_response(f"a {type(value).__name__} in place of an object")
    return cast("Mapping[str, Any]", value)


def _status(body: object) -> int:
    code = cast("Mapping[str, Any]", body).get("code") if isinstance(body, Mapping) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500
