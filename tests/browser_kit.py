"""What the tests of the viewer in a real browser share: hostile text, and what tells of a violated policy.

Where the browser's library is missing, a module that imports this one is skipped.
"""

from __future__ import annotations

import pytest

from burnish import ScriptedEngine, Session
from burnish.core.task import Task

pytest.importorskip("playwright", reason="the browser tests need playwright: pip install playwright")
pytest.importorskip("uvicorn", reason="the viewer needs uvicorn: pip install 'burnish[view]'")

from playwright.sync_api import expect

__all__ = ["HOSTILE", "WATCH", "expect", "hostile_run"]

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</pre></main><iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "\"'><svg onload=alert(1)><style>body{display:none}</style>",
    "[click](javascript:alert(1)) {{ 7 * 7 }} ${alert(1)}",
    "\x1b[31mred\x1b[0m \u202ereversed\u202c \x00 \ud800",
)
WATCH = """
addEventListener("securitypolicyviolation", (event) => console.error("policy", event.violatedDirective, event.blockedURI));
"""


async def hostile_run(store: str) -> str:
    """A run in which everything that a user or a model writes is hostile."""
    started: list[str] = []
    task = Task(
        id=HOSTILE[3],
        prompt="".join(HOSTILE),
        reference=HOSTILE[0],
        verifier={"name": "constraints", "checks": [{"contains": "never", "message": HOSTILE[1]}]},
        metadata={"x": HOSTILE[2]},
    )
    engine = ScriptedEngine(list(HOSTILE), model=HOSTILE[0])
    async with Session(engine, store=store) as session:
        await session.run("iad", task, settings={"n0": 6, "rounds": 1}, on_start=started.append)
    return started[0]
