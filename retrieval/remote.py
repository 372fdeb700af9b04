r"""A retriever behind HTTP, in the shape that retrieval servers of the field have (Search-R1's, and those made after it).

    POST URL   {"queries": ["..."], "topk": 3, "return_scores": true}
    200        {"result": [[{"document": {"id": "7", "contents": "title\ntext"}, "score": 1.5}, ...], ...]}

What may pass is tried again: no connection, no answer in time, status 429 and 5xx. Whatever else comes is checked, since a
server is somebody else's: a wrong shape is an error, not a hit. A document without an id is known by its contents.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ..core.errors import ConfigError, RetrievalFailed
from ..core.ids import Json, text_hash
from ..core.text import one_line
from .extras import library
from .passage import Hit, hit_of
from .retriever import check_k, prepared

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

_QUERIES = 64
"""Most queries in one request."""
_MOST_BYTES = 64 * 2**20
"""Longest answer that is read."""
_LONGEST_WAIT = 30.0
"""Most seconds between two attempts, whatever the server asks for."""


class Remote:
    """A retrieval server."""

    def __init__(
        self, url: str, *, timeout: float = 30.0, attempts: int = 4, wait: float = 0.5, headers: Mapping[str, str] | None = None
    ) -> None:
        """Ask the server at `url`, the whole address of its search.

        `timeout` is how many seconds it may be silent, `wait` the bound of the first wait between attempts, doubled each time;
        `attempts` counts the first one. `headers`, such as a key, are sent and never stored.

        Raises:
            ConfigError: the URL or a number is wrong.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{one_line(url, 200)!r} is no address of a server", hint="http://HOST:PORT/retrieve")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(
                "the address holds a name, password, query or fragment, and addresses are recorded",
                hint="Remote(url, headers=...)",
            )
        if attempts < 1 or not timeout > 0 or not wait >= 0:
            raise ConfigError(f"{attempts} attempts of {timeout} s, waiting {wait} s", hint="at least 1, more than 0, 0 or more")
        library("httpx")
        self.url = url
        self._timeout, self._attempts, self._wait = timeout, attempts, wait
        self._headers = dict(headers or {})
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def identity(self) -> Mapping[str, Json]:
        return {"kind": "remote", "url": self.url}

    async def search(self, queries: Sequence[str], k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        check_k(k)
        asked = [prepared(q) for q in queries]
        full = [q for q in asked if q]
        parts = [full[at : at + _QUERIES] for at in range(0, len(full), _QUERIES)]
        answers = iter([hits for part in parts for hits in await self._ask(part, k, frozenset(exclude))])
        return [next(answers) if q else [] for q in asked]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def _ask(self, queries: list[str], k: int, exclude: frozenset[str]) -> list[list[Hit]]:
        body = {"queries": queries, "topk": k + len(exclude), "return_scores": True}
        content = await self._post(json.dumps(body).encode())
        return await asyncio.to_thread(_hits, content, len(queries), k, exclude)

    async def _post(self, body: bytes) -> bytes:
        """One answer, by as many attempts as are allowed."""
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        jitter = wait_random_exponential(multiplier=self._wait, max=_LONGEST_WAIT)
        tries = 0

        def pause(state: RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            return max(jitter(state), failure.retry_after if isinstance(failure, _Passing) else 0.0)

        async def once() -> bytes:
            nonlocal tries
            tries += 1
            return await self._once(body)

        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, _Passing)),
            wait=pause,
            stop=stop_after_attempt(self._attempts),
            reraise=True,
        )
        try:
            return await retrying(once)
        except _Passing as e:
            raise RetrievalFailed(
                f"{e.message} (attempt {tries} of {self._attempts})",
                code=e.code,
                hint="see that the server runs; the run can be resumed",
                retryable=True,
            ) from None

    async def _once(self, body: bytes) -> bytes:
        httpx = library("httpx")
        where = one_line(self.url, 200)
        try:
            async with self._connected().stream("POST", self.url, content=body) as answer:
                content = bytearray()
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > _MOST_BYTES:
                        raise RetrievalFailed(f"{where} answered more than {_MOST_BYTES >> 20} MiB", code="bad_response")
        except httpx.TimeoutException:
            raise _Passing(f"{where} did not answer in {self._timeout:g} s", code="timeout") from None
        except httpx.HTTPError as e:
            raise _Passing(
                f"{where} cannot be reached: {one_line(str(e), 200) or type(e).__name__}", code="unreachable"
            ) from None
        if answer.status_code == 200:
            return bytes(content)
        told = one_line(bytes(content[:400]).decode("utf-8", "replace"), 200)
        message, code = f"{where} answered with status {answer.status_code}: {told}", f"http_{answer.status_code}"
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _Passing(message, code=code, retry_after=_seconds(answer.headers.get("retry-after")))
        raise RetrievalFailed(message, code=code, hint="the address of a search in the shape that docs/retrieval.md shows")

    def _connected(self) -> httpx.AsyncClient:
        """The client of this event loop: connections cannot be used from another one."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            httpx = library("httpx")
            headers = {"Content-Type": "application/json", "Accept": "application/json", **self._headers}
            client: httpx.AsyncClient = httpx.AsyncClient(
                timeout=self._timeout, headers=headers, trust_env=False, follow_redirects=False
            )
            self._client, self._loop = client, loop
            return client
        return self._client


class _Passing(RetrievalFailed):
    """A failure that another attempt may not have."""

    def __init__(self, message: str, *, code: str, retry_after: float = 0.0) -> None:
        super().__init__(message, code=code, retryable=True)
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""


def _hits(content: bytes, queries: int, k: int, exclude: frozenset[str]) -> list[list[Hit]]:
    """The hits in an answer, checked."""
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        raise _wrong("no JSON") from None
    result = cast("dict[str, object]", value).get("result") if isinstance(value, dict) else None
    if not isinstance(result, list):
        raise _wrong("no list under 'result'")
    rankings = cast("list[object]", result)
    if len(rankings) != queries:
        raise _wrong(f"{len(rankings)} rankings for {queries} queries")
    return [_ranking(ranking, k, exclude) for ranking in rankings]


def _ranking(ranking: object, k: int, exclude: frozenset[str]) -> list[Hit]:
    if not isinstance(ranking, list):
        raise _wrong("a ranking that is no list")
    hits: list[Hit] = []
    seen = set(exclude)
    for entry in cast("list[object]", ranking):
        id, contents, score = _document(entry)
        if id not in seen and len(hits) < k:
            seen.add(id)
            hits.append(hit_of(id, contents, score, len(hits) + 1))
    return hits


def _document(entry: object) -> tuple[str, str, float]:
    """Id, contents and score of one entry of a ranking."""
    found = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    document, score = found.get("document"), found.get("score")
    held = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    contents, own = held.get("contents"), held.get("id")
    if not isinstance(contents, str):
        raise _wrong("a document without contents")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise _wrong("a score that is no number")
    if isinstance(own, int | str) and not isinstance(own, bool) and str(own):
        return _clean(str(own)), _clean(contents), float(score)
    return f"text:{text_hash(contents)}", _clean(contents), float(score)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _wrong(what: str) -> RetrievalFailed:
    return RetrievalFailed(
        f"the retrieval server answered with {what}", code="bad_response", hint="docs/retrieval.md shows the shape of an answer"
    )


def _seconds(text: str | None) -> float:
    """The server's wish in seconds, within bounds; a date counts as none."""
    try:
        asked = float(text or 0)
    except ValueError:
        return 0.0
    return min(asked, _LONGEST_WAIT) if asked > 0 else 0.0
