"""Replays make nothing up: what a pool lacks, who judges and how often, what is refused."""

import asyncio
import textwrap
from collections import Counter
from dataclasses import replace

import pytest

from burnish import BurnishError, Candidate, ConfigError, EngineUnavailable, GenerationFailed, Task, Verdict
from burnish.compare.plan import Arm
from burnish.compare.pool import Sample
from burnish.compare.remember import Remembered
from burnish.compare.replay import replay
from burnish.core.completion import Completion
from burnish.core.target import load_target
from burnish.engine.replies import Reply
from burnish.traces.store import Store
from tests.pool_kit import drawn_pool, reply, tasks, url


async def test_what_the_pool_lacks_is_beyond_it(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(2), 4)
    trials = (await replay(pool, [Arm.of("majority:n=7")], orders=3))["majority:n=7"]
    assert [(t.beyond, len(t.candidates), t.usage.calls, t.usage.failed_calls) for t in trials] == [(3, 4, 7, 3)] * 6


REFINING = """
    from dataclasses import dataclass, replace
    from burnish import Expansion, Moves, Selection, Solver, Verdict, search_node
    from burnish.core.sampling import Sampling
    from burnish.graphs.builtin import one_node

    @dataclass(frozen=True)
    class State:
        asked: int = 0
        told: tuple = ()

    class Half:
        name, version, oracle, judges_truncated = "half", "1", False, False

        async def verify(self, task, candidate, ctx=None):
            return Verdict.failed(valid_prefix=len(candidate.text) // 2)

    class Then:
        def __init__(self, kind):
            self.kind, self.name = kind, kind

        def start(self, task, seed):
            return State()

        def ask(self, state):
            if state.asked > len(state.told) or state.asked == 2:
                return state, Moves()
            kind = {"kind": self.kind, "parents": ("x0",)} if state.asked else {}
            return replace(state, asked=state.asked + 1), Moves(expansions=(Expansion(id=f"x{state.asked}", **kind),))

        def tell(self, state, result):
            return replace(state, told=(*state.told, result.id))

        def finish(self, state, must):
            return Selection(id="x0", reason="first") if must or len(state.told) == 2 else None

    def graph(kind):
        solver = Solver(sampling=Sampling(max_tokens=512, temperature=0.7))
        return one_node("then", search_node(Then(kind), solver, Half()))
"""


@pytest.mark.parametrize("kind", ["refine", "continue", "repair"])
async def test_samples_that_depend_on_others_are_never_invented(tmp_path, kind):
    pool = await drawn_pool(tmp_path, tasks(2), 4)
    (tmp_path / "refining.py").write_text(textwrap.dedent(REFINING))
    arm = Arm(name="a", graph=f"{tmp_path}/refining.py:graph", settings={"kind": kind})
    trials = (await replay(pool, [arm], orders=4))["a"]
    assert [(t.beyond, len(t.candidates)) for t in trials] == [(1, 1)] * 8


COUNTING = """
    from burnish import Verdict

    class Counting:
        name, version, oracle, judges_truncated = "counting", "1", False, False
        seen = []

        async def verify(self, task, candidate, ctx=None):
            self.seen.append((task.id, candidate.text))
            if candidate.text.endswith("3"):
                raise ValueError("no threes")
            return Verdict.of(candidate.text.endswith("1"))

    class Asking:
        name, version, oracle, judges_truncated = "asking", "1", False, False

        async def verify(self, task, candidate, ctx=None):
            return Verdict.of((await ctx.generate("Right?", key="ask")).text == "yes")

    judge, grader, asking = Counting(), Counting(), Asking()
"""


def repeating(call):
    return f"answer {(0, 1, 1, 2, 3)[call.seed % 5]}"


async def test_each_distinct_answer_is_judged_once(tmp_path):
    file = tmp_path / "counting.py"
    file.write_text(textwrap.dedent(COUNTING))
    seen = load_target(f"{file}:judge", what="verifier").seen
    of = tasks(3, verifier=f"{file}:judge", grader=f"{file}:grader")
    pool = await drawn_pool(tmp_path, of, 8, replies=repeating)
    seen.clear()
    arms = [Arm.of("best_of_n:n=8,stop_at_pass=false"), Arm.of("majority:n=4"), Arm.of("oracle=best_of_n:n=3,verifier=grader")]
    trials = await replay(pool, arms, orders=9)
    distinct = Counter((d.task.id, text) for d in pool.drawn for text in {s.completion.text for s in d.samples})
    threes = sum(text.endswith("3") for _, text in distinct)
    counted = Counter(seen)
    assert threes > 0
    # The grader said all but its abstentions when the pool was drawn; the verifier is asked once for each.
    assert len(counted) == len(distinct)
    assert all(n == (2 if text.endswith("3") else 1) for (_, text), n in counted.items())
    assert all(t.usage.verdicts == 8 for t in trials[arms[0].name])
    assert all(t.usage.abstentions == sum(c.said == "abstain" for c in t.candidates) for t in trials[arms[0].name])
    assert all(c.right is (None if c.answer == "3" else c.answer == "1") for t in trials["oracle"] for c in t.candidates)


async def test_a_verifier_that_asks_the_model_is_beyond_the_pool(tmp_path):
    file = tmp_path / "counting.py"
    file.write_text(textwrap.dedent(COUNTING))
    pool = await drawn_pool(tmp_path, tasks(1), 4)
    arm = Arm(name="a", graph="best_of_n", settings={"n": 2}, verifier=f"{file}:asking")
    for trial in (await replay(pool, [arm], orders=3))["a"]:
        assert (trial.beyond, trial.outcome) == (2, "unverified")
        assert [c.said for c in trial.candidates] == ["abstain", "abstain"]
        assert trial.usage.verifier_calls == 2


async def test_an_arm_samples_as_the_pool_unless_it_says_otherwise(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(2), 4, settings={"max_tokens": 30, "temperature": 1, "system": "Be brief."})
    trials = await replay(pool, [Arm.of("majority:n=4,logprobs=true")], orders=1)
    assert all(t.beyond == 0 for t in trials["majority:n=4,logprobs=true"])
    with pytest.raises(ConfigError, match="asks for nothing that the pool 'p' holds") as refused:
        await replay(pool, [Arm.of("majority:n=4,max_tokens=31")], orders=1)
    assert "max_tokens=30" in refused.value.hint
    assert "system=Be brief." in refused.value.hint


async def test_a_verifier_among_the_settings_goes_before_the_tasks(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(2), 4)
    arms = [Arm(name=str(v), graph="best_of_n", settings={"n": 4, "verifier": v}) for v in (None, "regex:.", "task")]
    trials = await replay(pool, arms, orders=2)
    assert {t.outcome for t in trials["None"]} == {"unverified"}
    assert {t.outcome for t in trials["regex:."]} == {"verified"}
    plain = (await replay(pool, [Arm.of("best_of_n:n=4")], orders=2))["best_of_n:n=4"]
    assert trials["task"] == plain


async def test_a_cut_answer_is_not_judged(tmp_path):
    long = Reply("1 because I say so and I am right", finish_reason=None)
    pool = await drawn_pool(tmp_path, tasks(1), 2, replies=lambda call: long, settings={"max_tokens": 3})
    (trial,) = (await replay(pool, [Arm.of("best_of_n:n=2")], orders=1))["best_of_n:n=2"]
    assert [(c.said, c.right) for c in trial.candidates] == [("abstain", None)] * 2
    assert (trial.right, trial.outcome) == (None, "unverified")


async def test_a_task_without_samples_has_no_answer(tmp_path):
    def unlucky(call):
        return Reply(error=GenerationFailed("no luck")) if "0" in call.text else reply(call)

    pool = await drawn_pool(tmp_path, tasks(2), 3, replies=unlucky)
    trials = (await replay(pool, [Arm.of("majority:n=3")], orders=2))["majority:n=3"]
    for trial in trials:
        expected = (False, "no_answer", 3) if trial.task_id == "t0" else (trial.right, trial.outcome, 0)
        assert (trial.right, trial.outcome, trial.beyond) == expected


@pytest.mark.parametrize(
    ("arms", "orders", "error"),
    [
        ([], 3, ConfigError),
        ([Arm.of("single")], 0, ConfigError),
        ([Arm.of("nonsense")], 1, ConfigError),
        ([Arm.of("single:depth=3")], 1, ConfigError),
        ([Arm.of("single:verifier=nonsense")], 1, ConfigError),
        ([Arm.of("single:logprobs=true")], 1, EngineUnavailable),
    ],
)
async def test_what_cannot_be_replayed_is_said_before_or_by_its_arm(tmp_path, arms, orders, error):
    pool = await drawn_pool(tmp_path, tasks(1), 2, settings={"logprobs": False})
    with pytest.raises(error) as refused:
        await replay(pool, arms, orders=orders)
    assert error is ConfigError or str(refused.value).startswith("the arm single:logprobs=true: a call of the proposer needs")


BROKEN = """
    from langgraph.graph import END, START, StateGraph
    from burnish import Context
    from burnish.graphs.nodes import State

    async def node(state, runtime):
        raise ValueError("this graph has a bug")

    async def rarely(state, runtime):
        if runtime.context.task.id == "t1":
            raise ValueError("this graph has a bug")
        return {"answer": "1"}

    def graph(always):
        builder = StateGraph(State, context_schema=Context)
        builder.add_node("only", node if always else rarely)
        builder.add_edge(START, "only")
        builder.add_edge("only", END)
        return builder
"""


async def test_runs_that_fail_are_counted_and_if_all_do_it_is_said(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(2), 2)
    (tmp_path / "broken.py").write_text(textwrap.dedent(BROKEN))
    arms = [Arm(name="a", graph=f"{tmp_path}/broken.py:graph", settings={"always": always}) for always in (False, True)]
    trials = (await replay(pool, arms[:1], orders=2))["a"]
    assert [(t.task_id, t.outcome, t.right) for t in trials] == [("t0", "unverified", True), ("t1", "failed", False)] * 2
    with pytest.raises(BurnishError, match="this graph has a bug"):
        await replay(pool, arms[1:], orders=2)


async def test_it_can_be_cancelled(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(3), 4)
    work = asyncio.create_task(replay(pool, [Arm.of("majority:n=4")], orders=100_000))
    await asyncio.sleep(0.05)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_replay_stores_nothing(tmp_path):
    pool = await drawn_pool(tmp_path, tasks(1), 2)
    await replay(pool, [Arm.of("single")], orders=2)
    reader = Store.open_reader(url(tmp_path))
    assert len(reader.runs()) == 1
    reader.close()


class Once:
    """A verifier that must not be asked about one text twice at a time."""

    name, version, oracle, judges_truncated = "once", "1", False, False

    def __init__(self):
        self.asked = []

    async def verify(self, task, candidate, ctx=None):
        self.asked.append(candidate.text)
        await asyncio.sleep(0.01)
        return Verdict.passed()


async def test_equal_answers_at_the_same_time_are_judged_once():
    inner = Once()
    remembered = Remembered(inner, Task(prompt="?"))
    task, candidate = Task(prompt="?"), Candidate.of("42")
    verdicts = await asyncio.gather(*(remembered.verify(task, candidate) for _ in range(5)))
    others = [replace(candidate, reasoning="because"), replace(candidate, finish_reason="length")]
    assert [v.outcome for v in verdicts] == ["pass"] * 5
    for other in others:
        await remembered.verify(task, other)
    # What was thought aloud, and whether the answer was cut, may change the verdict.
    assert inner.asked == ["42"] + [c.text for c in others if not c.truncated]


async def test_only_what_this_verifier_said_of_whole_answers_is_taken_over():
    inner = Once()
    remembered = Remembered(inner, Task(prompt="?"))

    def sample(text, graded_by=("once", "1"), grade=None, **fields):
        completion = Completion(text, **fields)
        return Sample(completion=completion, seconds=0.1, answer=None, grade=grade or Verdict.failed(), graded_by=graded_by)

    remembered.learn(
        [
            sample("taken"),
            sample("other version", ("once", "2")),
            sample("unsure", grade=Verdict.abstain("unsure")),
            sample(" "),
        ]
    )
    task = Task(prompt="?")
    cut = sample("both", finish_reason="length", grade=Verdict.failed("cut"))
    remembered.learn([cut, sample("both", grade=Verdict.passed())])
    assert (await remembered.verify(task, Candidate.of("both"))).outcome == "pass"
    for text in ("taken", "other version", "unsure"):
        await remembered.verify(task, Candidate.of(text))
    assert inner.asked == ["other version", "unsure"]
