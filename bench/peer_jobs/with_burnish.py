"""burnish, every call and verdict durable in SQLite before it counts."""

import os
import tempfile

from fake import PROMPT, answer, score

import burnish

folder = tempfile.TemporaryDirectory()


class Even:
    name, version, oracle, judges_truncated = "even", "1", False, False

    async def verify(self, task, candidate, ctx=None):
        value = score(candidate.text)
        return burnish.Verdict(outcome="pass" if value else "fail", score=value)


async def job(n, width):
    numbers = iter(range(n))
    engine = burnish.ScriptedEngine(lambda call: answer(next(numbers)))
    settings = {"n": n, "width": width, "stop_at_pass": False, "verifier": Even()}
    async with burnish.Session(engine, store=f"sqlite:///{os.path.join(folder.name, 'runs.db')}") as session:
        return (await session.run("best_of_n", PROMPT, settings=settings)).answer
