"""Runs to look at: a scripted model at work in several graphs, so that a store has something of everything.

The model is made up, the work is not: steps to 24 are checked by arithmetic and products by casting out nines, which lets
some wrong ones pass. The same seeds give the same runs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction

from ..compare import carry
from ..compare.plan import Arm, Plan
from ..core.errors import BurnishError, GenerationFailed
from ..core.ids import Json
from ..core.task import Task
from ..engine.replies import Answer, Call, Reply
from ..engine.scripted import ScriptedEngine
from ..session import Session


def _function(name: str, **rest: Json) -> Json:
    # Without a time limit, and so in this process: the functions end at once, a worker's start does not.
    return {"name": "python_function", "function": f"{__name__}:{name}", "timeout": None, **rest}


TWENTY_FOUR = Task(
    id="24 from 4 7 8 8",
    prompt="Make 24 out of 4, 7, 8 and 8 with + - * /, each number once. Write one operation a line and the numbers left.",
    verifier=_function("steps_to_24", judges_prefixes=True),
)
TEA = Task(
    id="tea",
    prompt="Describe tea in one sentence for the menu of a mountain hut.",
    verifier={
        "name": "constraints",
        "checks": [{"contains": "warm"}, {"contains": "summit"}, {"words": {"max": 12}}, {"excludes": "very"}],
    },
)
MEETING = Task(
    id="meeting",
    prompt="Ada is free on Monday 9:00-10:00 and 14:00-16:00, Ben on Monday 9:30-11:00 and 15:00-17:00. Plan an hour together.",
)
SENTENCES = (
    "Tea is a very nice drink that most people who come here like very much indeed after walking.",
    "Tea is a drink that keeps you warm and that most people like after a long day of walking.",
    "Tea keeps you warm on the long way up to the summit and all of the way down again.",
    "Tea keeps you warm on the way to the summit.",
)
"""Each meets more of what is asked for than the one before."""
SLOTS = {"Monday 14:00-15:00": 60, "Monday 9:00-10:00": 20, "Monday 9:30-10:30": -30, "Monday 15:00-16:00": 100}
"""What may be proposed for the meeting, and the verification agent's score for it."""
FREE = "Ada and Ben are both free on Monday."
_STEP = re.compile(r"(-?\d+) ([-+*/]) (-?\d+) = (-?\d+) \(left: (-?\d+(?: -?\d+)*)\)")
_PRODUCT = re.compile(r"What is (\d+) times (\d+)\?")


def product(a: int, b: int) -> Task:
    """A multiplication, verified without its reference and graded with it."""
    return Task(
        id=f"{a} times {b}",
        prompt=f"What is {a} times {b}? Reason in one line and end with the number.",
        reference=a * b,
        verifier=_function("nines", oracle=False),
        grader="numeric",
        extract="last_number",
    )


def products(n: int, seed: int = 1) -> list[Task]:
    """Different multiplications, every other one by a single digit."""
    draw = random.Random(seed)
    tasks: dict[str, Task] = {}
    while len(tasks) < n:
        task = product(draw.randint(11, 99), draw.randint(2, 9 if len(tasks) % 2 else 99))
        tasks[task.id] = task
    return list(tasks.values())


def nines(task: Task, text: str) -> bool:
    """Whether a product has the remainder by nine that it must have: never wrong about a right one."""
    asked, numbers = _PRODUCT.search(task.prompt), re.findall(r"\d+", text)
    if asked is None or not numbers:
        return False
    return int(numbers[-1]) % 9 == int(asked[1]) * int(asked[2]) % 9


def steps_to_24(task: Task, text: str) -> float:
    """1 for 24, else much if it can still be reached from the numbers left, little if not, 0 for wrong arithmetic."""
    left = sorted(int(n) for n in re.findall(r"\d+", task.prompt.partition(" with ")[0])[1:])
    for line in text.strip().splitlines():
        step = _STEP.fullmatch(line.strip())
        if step is None:
            return 0.0
        a, b = int(step[1]), int(step[3])
        if not _is_left((a, b), left) or _apply(step[2], Fraction(a), Fraction(b)) != int(step[4]):
            return 0.0
        left.remove(a)
        left.remove(b)
        left = sorted([*left, int(step[4])])
    if len(left) == 1:
        return float(left[0] == 24)
    return 0.8 if reaches([Fraction(n) for n in left]) else 0.1


def reaches(numbers: Sequence[Fraction], goal: int = 24) -> bool:
    """Whether operations can make the goal out of all the numbers."""
    if len(numbers) == 1:
        return numbers[0] == goal
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            rest = [n for at, n in enumerate(numbers) if at not in (i, j)]
            values = (_apply(sign, a, b) for sign in "+-*/") if i != j else ()
            if any(value is not None and reaches([*rest, value], goal) for value in values):
                return True
    return False


def model(call: Call) -> Answer:
    """The proposer: what it answers depends on the task that it is asked, and on the seed."""
    draw = random.Random(f"{call.seed} {call.key}")
    asked = str(call.prompt.to_json())
    if "Make 24" in asked:
        return _next_step(call.prefix, draw)
    if "Describe tea" in asked:
        return _sentence(call.text, draw)
    if found := _PRODUCT.search(asked):
        return _guess(int(found[1]), int(found[2]), draw)
    if "Plan an hour" in asked:
        slot = draw.choices(list(SLOTS), (4, 3, 3, 1))[0]
        return FREE if "next step" in call.text and FREE not in call.text else f"They meet on {slot}."
    return GenerationFailed("the server is overloaded", code="overloaded")


def judge(call: Call) -> str:
    """The verification agent: how well the plan's slot, or a plan without one, keeps to the constraints."""
    plan = call.text.rpartition("They meet on ")[2]
    score = next((score for slot, score in SLOTS.items() if plan.startswith(slot)), 40)
    return f"I look at each person's free hours.\nScore: {score}"


def engines(pace: float = 0.0) -> dict[str, ScriptedEngine]:
    """The model in all its roles. A call takes up to `pace` seconds."""

    def engine(reply: Callable[[Call], Answer]) -> ScriptedEngine:
        return ScriptedEngine(reply, latency=lambda call: pace * (0.2 + 0.8 * call.draw), model="made-up")

    return {
        "default": engine(model),
        "constraint": engine(lambda _: "- the meeting lasts one hour\n- Ada is free\n- Ben is free"),
        "judge": engine(judge),
        "completion": engine(lambda call: "1" if "They meet on" in call.text else "0"),
        "selection": engine(lambda _: "best_of_n: 0.6\nrebase: 0.2\ntree_of_thought: 0.2"),
    }


async def fill(store: str, *, pace: float = 0.0, tasks: int = 24) -> dict[str, str]:
    """Make the runs and a comparison on some tasks. Gives the runs' ids by what they show, and `comparison`: its batch."""
    ids: dict[str, str] = {}
    async with Session(engines=engines(), store=store, grade_all=True) as session:
        names = ("single", "majority:n=4", "majority:n=16", "best_of_n:n=4", "best_of_n:n=16")
        plan = Plan(name="products", arms=[Arm.of(name) for name in names], tasks=products(tasks), seeds=(0,))
        await carry.carry_out(session, plan)
        ids["comparison"] = session.store.reader().batches()[0].id
    async with Session(engines=engines(pace), store=store, grade_all=True) as session:
        for name, graph, task, settings, rest in RUNS:
            ids[name] = await _run(session, graph, task, settings, rest)
    return ids


RUNS: tuple[tuple[str, str, Task, Mapping[str, Json], Mapping[str, Json]], ...] = (
    ("failed", "best_of_n", Task(id="no server", prompt="Who answers?", verifier="exact", reference="nobody"), {"n": 4}, {}),
    ("budget", "best_of_n", product(417, 68), {"n": 32, "stop_at_pass": False}, {"budget": "calls=20", "seed": 3}),
    ("best_of_n", "best_of_n", product(47, 68), {"n": 24, "stop_at_pass": False}, {"seed": 1}),
    ("other_seed", "best_of_n", product(47, 68), {"n": 24, "stop_at_pass": False}, {"seed": 2}),
    ("iad", "iad", TEA, {"rounds": 5, "per_round": 3, "n0": 2, "feedback": "directional"}, {"seed": 4}),
    ("plangen", "plangen", MEETING, {"n": 3, "rounds": 3, "rebase_width": 3, "nodes": 6}, {"seed": 5}),
    ("tree", "tree_of_thought", TWENTY_FOUR, {"strategy": "bfs", "children": 4, "keep": 2, "stop_at_pass": False}, {"seed": 6}),
)
"""What each shows, its graph, task and settings, and what else it is started with."""


async def _run(session: Session, graph: str, task: Task, settings: Mapping[str, Json], rest: Mapping[str, Json]) -> str:
    started: list[str] = []
    budget, seed = rest.get("budget"), rest.get("seed", 0)
    with suppress(BurnishError):  # It is in the store, as what it is.
        await session.run(
            graph, task, settings=settings, budget=str(budget) if budget else None, seed=int(str(seed)), on_start=started.append
        )
    return started[0]


def _next_step(written: str, draw: random.Random) -> Reply:
    """One operation on the numbers left; half of the time one after which 24 can still be reached."""
    lines = written.strip().splitlines()
    left = [int(n) for n in lines[-1].partition("left: ")[2].rstrip(")").split()] if lines else [4, 7, 8, 8]
    tries: list[tuple[str, list[int]]] = []
    for _ in range(60):
        numbers = draw.sample(left, len(left))
        a, b, rest = numbers[0], numbers[1], numbers[2:]
        sign = draw.choice("+-*/")
        value = _apply(sign, Fraction(a), Fraction(b))
        if value is not None and value.denominator == 1:
            after = [*rest, int(value)]
            tries.append((f"{a} {sign} {b} = {value} (left: {' '.join(map(str, after))})", after))
    good = [step for step, after in tries if reaches([Fraction(n) for n in after])]
    chosen = good[0] if good and draw.random() < 0.5 else tries[0][0]
    return Reply(chosen + ("" if len(left) == 2 else "\n"))


def _sentence(asked: str, draw: random.Random) -> str:
    """The next better sentence than the best one that is quoted, or another try of the same kind."""
    known = max((at for at, sentence in enumerate(SENTENCES) if sentence.removeprefix("Tea") in asked), default=-1)
    at = min(known + (draw.random() < 0.5), len(SENTENCES) - 1)
    return SENTENCES[at] if at > known else SENTENCES[max(at, 0)].replace("Tea", draw.choice(("Our tea", "Hot tea", "This tea")))


def _guess(a: int, b: int, draw: random.Random) -> str:
    """A product, wrong the more often the larger it is."""
    error = 0 if draw.random() < 1.1 / max(1.3, (a * b) ** 0.18) else draw.choice((-90, -10, -9, -1, 1, 7, 10, 20, 100))
    if b < 10:
        return f"{a} times {b} is {a * b + error}"
    return f"{a} times {b // 10 * 10} is {a * (b // 10 * 10)}, and {a} times {b % 10} is {a * (b % 10)}, in all {a * b + error}"


def _apply(sign: str, a: Fraction, b: Fraction) -> Fraction | None:
    match sign:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case _:
            return a / b if b else None


def _is_left(wanted: Sequence[int], left: Sequence[int]) -> bool:
    return all(list(left).count(n) >= list(wanted).count(n) for n in wanted)
