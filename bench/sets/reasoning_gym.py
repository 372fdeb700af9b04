"""The library reasoning-gym as an optional source: seeded puzzles, scored by the library in a process that can be killed.

A family is taken only if its scorer was read and does nothing but compare texts, compare numbers, or replay a list of moves. Left
out are the families whose scorers evaluate the model's text as Python, with `eval` or through SymPy's parser (binary_matrix,
countdown, n_queens, puzzle24, spiral_matrix, string_insertion, the integrals and polynomials), whose items differ from process to
process (acre, codeio, isomorphic_strings, knight_swap, ransom_note, word_ladder), whose own answer does not score 1 (boxnet,
graph_color, propositional_logic, rubiks_cube, rush_hour) or whose scorer passes what is wrong (game_of_life_halting,
quantum_lock, spell_backward), and all that nobody has read.
"""

from __future__ import annotations

import functools
import importlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...core.errors import ConfigError
from ...core.ids import Json
from ...core.task import Task
from ...core.text import one_line
from ...core.verdict import Verdict
from .functions import grader, verifier
from .registry import TaskSet

LIBRARY = "reasoning_gym"
VERSION = "0.1.25"
"""The version whose scorers were read."""
ITEMS = 10
"""Tasks of each family."""
TIMEOUT = 30.0
"""Seconds that one scoring may take, the import of the library included."""
FORM = "Write your final answer between <answer> and </answer>."
MAX_TOKENS = 512
_OPEN, _CLOSE = "<answer>", "</answer>"


@dataclass(frozen=True)
class _Family:
    scorer: str
    """What the library's scorer does with the model's text: the reason why the family is allowed."""
    shape: str = ""
    """Regular expression that every answer matches; empty if an answer may look like anything."""


_TEXT, _NUMBER, _REPLAY = "compares texts", "compares numbers", "replays the moves"
_INTEGER, _DECIMAL = r"[-+]?\d+", r"[-+]?[\d,]+(\.\d+)?"
FAMILIES: dict[str, _Family] = {
    "aiw": _Family(_TEXT),
    "base_conversion": _Family(_TEXT, r"[0-9a-z]+"),
    "basic_arithmetic": _Family(_TEXT, _INTEGER),
    "binary_alternation": _Family(_TEXT, _INTEGER),
    "caesar_cipher": _Family(_TEXT),
    "chain_sum": _Family(_NUMBER, _DECIMAL),
    "coin_flip": _Family(_NUMBER, r"\d*\.?\d+([eE]-\d+)?|\d+/\d+"),
    "count_bits": _Family(_TEXT, _INTEGER),
    "count_primes": _Family(_TEXT, _INTEGER),
    "course_schedule": _Family(_TEXT, "True|False"),
    "decimal_chain_sum": _Family(_NUMBER, _DECIMAL),
    "family_relationships": _Family(_TEXT, r"[A-Za-z-]+"),
    "fraction_simplification": _Family(_NUMBER),
    "gcd": _Family(_TEXT, _INTEGER),
    "jugs": _Family(_REPLAY, r"\[[^\[\]]+\]"),
    "knights_knaves": _Family(_TEXT),
    "largest_island": _Family(_TEXT, _INTEGER),
    "lcm": _Family(_TEXT, _INTEGER),
    "leg_counting": _Family(_TEXT, _INTEGER),
    "letter_counting": _Family(_TEXT, _INTEGER),
    "letter_jumble": _Family(_TEXT),
    "maze": _Family(_TEXT, _INTEGER),
    "mini_sudoku": _Family(_TEXT, r"[1-4]( [1-4]){3}(\n[1-4]( [1-4]){3}){3}"),
    "needle_haystack": _Family(_TEXT),
    "number_sequence": _Family(_TEXT, _INTEGER),
    "products": _Family(_NUMBER, _DECIMAL),
    "rectangle_count": _Family(_NUMBER, _INTEGER),
    "rotten_oranges": _Family(_TEXT, _INTEGER),
    "shortest_path": _Family(_REPLAY, r"infeasible|(up|down|left|right)( (up|down|left|right))*"),
    "simple_equations": _Family(_TEXT, _INTEGER),
    "simple_geometry": _Family(_TEXT, _DECIMAL),
    "string_manipulation": _Family(_TEXT, r"[a-z]*"),
    "syllogism": _Family(_TEXT, "Yes|No"),
    "tower_of_hanoi": _Family(_REPLAY, r"Move disk \d+ from Peg \d+ to Peg \d+(\nMove disk \d+ from Peg \d+ to Peg \d+)*"),
    "word_sequence_reversal": _Family(_TEXT),
    "word_sorting": _Family(_TEXT),
}
"""The families that are taken."""


def load(folder: Path | None, seed: int) -> list[Task]:
    """The first tasks of every family under the seed.

    Raises:
        ConfigError: the library is not installed.
    """
    return [_task(name, seed, index) for name in FAMILIES for index in range(ITEMS)]


def _task(name: str, seed: int, index: int) -> Task:
    item = _dataset(name, seed)[index]
    shape = FAMILIES[name].shape
    return Task(
        prompt=f"{item['question'].strip()}\n\n{FORM}",
        id=f"reasoning_gym/{name}/{index}/{seed}",
        reference=cast("Json", item["answer"]),
        context={"family": name, "seed": seed, "index": index},
        grader={**grader(gym_grade), "timeout": TIMEOUT},
        verifier=verifier(gym_check) if shape else None,
        extract="words",
        sampling={"max_tokens": MAX_TOKENS},
        metadata={"set": "reasoning_gym", "family": name, "seed": seed, "index": index},
    )


@functools.lru_cache(maxsize=len(FAMILIES))
def _dataset(name: str, seed: int) -> Any:
    try:
        library = importlib.import_module(LIBRARY)
    except ImportError as e:
        said = f"the task set reasoning_gym needs the library reasoning-gym: {one_line(str(e), 200)}"
        raise ConfigError(said, hint=f"python -m pip install reasoning-gym=={VERSION}") from None
    return library.create_dataset(name, size=ITEMS, seed=seed)


def answer_text(text: str) -> str:
    """What stands in the last pair of answer tags; all of the text where there is none."""
    end = text.rfind(_CLOSE)
    begin = text.rfind(_OPEN, 0, end) if end >= 0 else -1
    return text[begin + len(_OPEN) : end].strip() if begin >= 0 else text.strip()


def gym_grade(task: Task, text: str) -> Verdict:
    """The library's score; passes only at 1. The item is made anew, and has to be the one that was asked."""
    name, seed, index = (cast("Any", task.context[key]) for key in ("family", "seed", "index"))
    if name not in FAMILIES or index not in range(ITEMS):
        return Verdict.abstain("no_item", "this item is none of the set")
    dataset = _dataset(name, seed)
    item = dataset[index]
    if not task.prompt.startswith(item["question"].strip()) or item["answer"] != task.reference:
        return Verdict.abstain("other_item", "the installed library makes another item of this seed")
    score = float(dataset.score_answer(answer_text(text), item))
    if not math.isfinite(score):
        return Verdict.abstain("bad_score", "the library's score is no number")
    return Verdict.passed() if score >= 1 else Verdict.failed("the answer is not right", score=max(0.0, score), reason="mismatch")


def gym_check(task: Task, text: str) -> Verdict:
    """Whether the answer looks like one: a whole number, a list of moves, one of two words."""
    answer = answer_text(text)
    if re.fullmatch(FAMILIES[str(task.context["family"])].shape, answer):
        return Verdict.passed(score=None)
    return Verdict.failed(f"this does not look like an answer: {one_line(answer, 80)}", score=None, reason="form")


REASONING_GYM = TaskSet(
    name="reasoning_gym",
    about=f"puzzles of {len(FAMILIES)} families, made and scored by an optional library",
    source=f"the library reasoning-gym, read in version {VERSION}",
    licence="Apache-2.0",
    needs_data=False,
    size=len(FAMILIES) * ITEMS,
    load=load,
)
"""The families whose scoring is safe and repeatable."""
