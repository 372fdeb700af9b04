"""What the tests of retrieval share: a home of their own, small corpora, an embedder that is a hash, servers that are real."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from burnish.retrieval import Embedded

PASSAGES = [
    ("kafka", "Franz Kafka", "Kafka wrote The Trial in Prague, a novel about a bank clerk who is arrested."),
    ("brod", "Max Brod", "Brod published the novels of his friend Kafka after the writer had died."),
    ("prague", "Prague", "Prague is the capital of Bohemia and lies on the Vltava."),
    ("vitamin", "Vitamin C", "Ascorbic acid is found in oranges and prevents scurvy."),
    ("who", "The Who", "They are a band from London that smashed guitars."),
    ("cell", "Prison cell", "A cell is a small room with a locked door and a barred window."),
]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The folder in which corpora are kept."""
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def lines(path: Path, rows: Sequence[Any] = PASSAGES) -> Path:
    """A corpus file of (id, title, text), or of whatever else stands in for a row."""
    shown = [{"id": r[0], "contents": f"{r[1]}\n{r[2]}"} if isinstance(r, tuple) else r for r in rows]
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)) + "\n" for r in shown), "utf-8")
    return path


class HashEmbedder:
    """Vectors of words: each word is one of 64 directions, so that texts with common words are near."""

    dimensions = 64

    def __init__(self, name: str = "hash") -> None:
        self.name, self.calls = name, 0

    @property
    def identity(self) -> dict[str, Any]:
        return {"model": self.name}

    def embed(self, texts: Sequence[str], *, query: bool) -> Embedded:
        import numpy as np

        assert threading.current_thread() is not threading.main_thread() or not query
        self.calls += 1
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, hashlib.blake2b(word.strip(".,?").encode()).digest()[0] % 64] += 1
        return Embedded(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), 0)


@contextmanager
def server(
    answer: Callable[[dict[str, Any], int], tuple[int, Any]], **headers: str
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A retrieval server: `answer` gets the body and the number of the request, and gives status and body. Yields its URL
    and all that it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = answer(asked[-1], len(asked))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            with suppress(OSError):  # Who asked may have gone.
                self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}/retrieve", asked
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
