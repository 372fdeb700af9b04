"""What stands in for model and scorer on every side: answers of the usual size, no latency, no dependency."""

from __future__ import annotations

SENTENCE = "The train leaves at nine and arrives at noon, so the journey takes three hours, and the answer follows. "
PROMPT = "A train leaves the station in the morning. How long does the journey take?"
counted = {"model": 0, "scorer": 0}


def answer(seed: int) -> str:
    """An answer of a thousand characters, another one for each seed."""
    counted["model"] += 1
    return (SENTENCE * 10)[:1000] + f" It is {seed}."


def score(text: str) -> float:
    """Even numbers are right, the largest most of all."""
    counted["scorer"] += 1
    number = int(text.rpartition(" ")[2].rstrip("."))
    return number / 1e6 if number % 2 == 0 else 0.0
