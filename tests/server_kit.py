"""A real HTTP server on loopback that speaks the chat-completions protocol, with answers and faults by script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MODEL = "tiny"


@dataclass
class Request:
    """One request, as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Peer:
    """The other end of one connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        await self.text(json.dumps(value), status, **headers)

    async def text(self, text: str, status: int = 200, **headers: str) -> None:
        data = text.encode()
        given = {"content-type": "application/json", "content-length": str(len(data)), **headers}
        lines = [f"HTTP/1.1 {status} Said", *(f"{k.replace('_', '-')}: {v}" for k, v in given.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode() + data)

    async def begin_stream(self) -> None:
        await self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    async def piece(self, value: Any) -> None:
        data = f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """Drop the connection."""
        self._writer.transport.abort()


Answer = Callable[[Peer, Request], Awaitable[None]]


def status(code: int, body: Any = None, **headers: str) -> Answer:
    """An answer with a status and perhaps an error body."""

    async def answer(peer: Peer, _: Request) -> None:
        await peer.json(body if body is not None else {"error": {"message": f"said {code}", "code": code}}, code, **headers)

    return answer


@dataclass
class Chat:
    """Answers as a model would, word for word, with what the server is said to honour."""

    words: Sequence[str] = ("Hello", " there", ",", " friend", ".")
    vllm: str = ""
    """Version; empty for a server that is no vLLM."""
    refuses: frozenset[str] = frozenset()
    """Fields that are answered with 400."""
    ignores: frozenset[str] = frozenset()
    """Fields that are taken and do nothing."""
    latency: float = 0.0
    gap: float = 0.0
    """Seconds between pieces."""
    finish: str | None = None
    """Reason to give in place of the right one."""
    usage: bool = True
    thoughts: Sequence[str] = ()
    field: str = "reasoning_content"
    context: int = 0
    """Most words of a prompt; 0 for no limit."""

    async def __call__(self, peer: Peer, request: Request) -> None:
        body = request.body
        if bad := sorted(self.refuses & body.keys()):
            message = f"Unsupported parameter: {bad[0]}"
            await peer.json({"error": {"message": message, "type": "invalid_request_error", "code": 400}}, 400)
            return
        asked = sum(len(str(m.get("content")).split()) for m in body.get("messages", ()))
        if self.context and asked > self.context:
            message = f"This model's maximum context length is {self.context} tokens. However, you requested {asked}"
            await peer.json({"error": {"message": message, "code": 400}}, 400)
            return
        await asyncio.sleep(self.latency)
        words, reason = self._words(body)
        if body.get("stream") and "stream" not in self.ignores:
            await self._stream(peer, body, words, reason)
            return
        message: dict[str, Any] = {"role": "assistant", "content": "".join(words)}
        if self.thoughts:
            message[self.field] = "".join(self.thoughts)
        choice = {"index": 0, "message": message, "finish_reason": reason, **self._tokens(body, words)}
        await peer.json({"choices": [choice], **({"usage": self._usage(len(words))} if self.usage else {})})

    def _words(self, body: Mapping[str, Any]) -> tuple[list[str], str]:
        words, reason = list(self.words), "stop"
        if "response_format" in body and "response_format" not in self.ignores:
            words = ["{", '"', "burnish", '"', ":", " true", "}"]
        if "structured_outputs" in body and self.vllm:
            words = [body["structured_outputs"]["choice"][0]]
        for text in body.get("stop", []):
            joined = "".join(words)
            if text in joined:
                words = [joined[: joined.index(text)]]
        most = body.get("max_tokens") or body.get("max_completion_tokens")
        if most and len(words) > most:
            words, reason = words[:most], "length"
        return words, self.finish or reason

    async def _stream(self, peer: Peer, body: Mapping[str, Any], words: Sequence[str], reason: str) -> None:
        await peer.begin_stream()
        await peer.piece({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        options = body.get("stream_options", {})
        for thought in self.thoughts:
            await peer.piece({"choices": [{"index": 0, "delta": {self.field: thought}, "finish_reason": None}]})
        for n, word in enumerate(words, 1):
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": None, **self._tokens(body, [word])}
            running = {"usage": self._usage(n)} if self.vllm and options.get("continuous_usage_stats") else {}
            await peer.piece({"choices": [choice], **running})
            await asyncio.sleep(self.gap)
        await peer.piece({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if self.usage and options.get("include_usage"):
            await peer.piece({"choices": [], "usage": self._usage(len(words))})
        await peer.piece("[DONE]")
        await peer.end_stream()

    def _tokens(self, body: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if self.vllm and body.get("return_token_ids"):
            out["token_ids"] = [len(w) for w in words]
        if body.get("logprobs") and "logprobs" not in self.ignores:
            named = bool(self.vllm and body.get("return_tokens_as_token_ids"))
            out["logprobs"] = {"content": [self._logprob(w, body.get("top_logprobs", 0), named) for w in words]}
        return out

    def _logprob(self, word: str, most: int, named: bool) -> dict[str, Any]:
        top = [{"token": f"token_id:{i}" if named else f"t{i}", "logprob": -0.5 - i} for i in range(most)]
        return {"token": word, "logprob": -0.5, "top_logprobs": top}

    def _usage(self, generated: int) -> dict[str, Any]:
        return {
            "prompt_tokens": 11,
            "completion_tokens": generated + len(self.thoughts),
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": len(self.thoughts)},
        }


@dataclass
class FakeServer:
    """What the server does and has seen. Change `answer` at any time."""

    port: int = 0
    host: str = "127.0.0.1"
    answer: Answer = field(default_factory=Chat)
    models: list[Any] = field(default_factory=list[Any])
    models_answer: Answer | None = None
    metrics: str = ""
    requests: list[Request] = field(default_factory=list[Request])
    running: int = 0
    peak: int = 0
    broken_off: int = 0
    """Calls that the client left before the answer was whole."""
    listener: asyncio.Server | None = None
    connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = field(default_factory=dict[Any, Any])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """Bodies of all calls."""
        return [r.body for r in self.requests if r.path.endswith("/chat/completions")]

    async def listen(self) -> None:
        # The default backlog of 100 would turn a thousand connections away for a second.
        self.listener = await asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=2048)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and all connections, as a server that dies."""
        if self.listener is not None:
            self.listener.close()
            for writer in self.connections.values():
                writer.transport.abort()
            await asyncio.gather(*self.connections)
            self.listener = None

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections[task] = writer
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                await self._answer(Peer(writer), reader, request)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            del self.connections[task]
            writer.close()

    async def _answer(self, peer: Peer, reader: asyncio.StreamReader, request: Request) -> None:
        if request.path == "/v1/models":
            chat = self.answer
            owner = "vllm" if isinstance(chat, Chat) and chat.vllm else "somebody"
            listed = self.models or [{"id": MODEL, "object": "model", "owned_by": owner, "max_model_len": 512}]
            await (self.models_answer(peer, request) if self.models_answer else peer.json({"data": listed}))
        elif request.path == "/version" and isinstance(self.answer, Chat) and self.answer.vllm:
            await peer.json({"version": self.answer.vllm})
        elif request.path == "/metrics" and self.metrics:
            await peer.text(self.metrics, content_type="text/plain")
        elif request.path == "/v1/chat/completions":
            await self._chat(peer, reader, request)
        else:
            await peer.json({"detail": "Not Found"}, 404)

    async def _chat(self, peer: Peer, reader: asyncio.StreamReader, request: Request) -> None:
        """Answer, unless the client hangs up first."""
        self.running += 1
        self.peak = max(self.peak, self.running)
        answering, gone = asyncio.ensure_future(self.answer(peer, request)), asyncio.ensure_future(_hung_up(reader))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            self.broken_off += not answering.done() or (not answering.cancelled() and answering.exception() is not None)
        finally:
            self.running -= 1
            for task in (answering, gone):
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await task


@asynccontextmanager
async def serving(answer: Answer | None = None, **options: Any) -> AsyncIterator[FakeServer]:
    """A server that listens on a free port."""
    server = FakeServer(answer=answer or Chat(), **options)
    await server.listen()
    try:
        yield server
    finally:
        await server.stop()


async def _hung_up(reader: asyncio.StreamReader) -> None:
    while not reader.at_eof():
        await asyncio.sleep(0.02)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    data = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json.loads(data) if data else {})
