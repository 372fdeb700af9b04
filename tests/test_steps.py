"""Solutions made step by step: boundaries, beginnings, who may judge them, and going on after a kill."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from burnish import Context, ScriptedEngine, Solver, Task, Verdict
from burnish.core.budget import Budget, Ledger
from burnish.core.candidate import Candidate
from burnish.core.policy import Expansion, Moves, Scored, Selection, TaskView
from burnish.core.run import Run
from burnish.core.runs import RunSpec
from burnish.engine.replies import Call, Reply
from burnish.traces.memory import MemoryJournal
from burnish.verifiers.combine import AllOf, FirstOf
from tests.helpers import rows, searching, session

STEPS = ("first\n", "second\n", "third")


def next_step(call: Call) -> Reply:
    """The whole solution from here on; a stop text cuts it."""
    return Reply(call.rest("".join(STEPS)))


@dataclass(frozen=True)
class State:
    asked: tuple[str, ...] = ()
    results: tuple[Scored, ...] = ()


@dataclass(frozen=True)
class OneByOne:
    """One step after the other until the solution is whole."""

    most: int = 9
    name = "one_by_one"

    def start(self, task: TaskView, seed: int) -> State:
        return State()

    def ask(self, state: State) -> tuple[State, Moves]:
        number = len(state.asked)
        if number > len(state.results) or number == self.most or (state.results and state.results[-1].done):
            return state, Moves()
        last = state.asked[-1:]
        step = Expansion(id=f"s{number}", kind="continue" if last else "fresh", parents=last, step=True)
        return replace(state, asked=(*state.asked, step.id)), Moves(expansions=(step,))

    def tell(self, state: State, result: Scored) -> State:
        return replace(state, results=(*state.results, result))

    def finish(self, state: State, must: bool) -> Selection | None:
        if not must and not (state.results and state.results[-1].done):
            return None
        return Selection(id=state.results[-1].id if state.results else None, reason="last")


class Whole:
    """Judges whole answers."""

    name, version, oracle, judges_truncated = "whole", "1", False, False

    async def verify(self, task: Task, candidate: object, ctx: Context | None = None) -> Verdict:
        return Verdict.passed()


class Prefixes(Whole):
    """Judges beginnings too."""

    name = "prefixes"
    judges_prefixes = True


async def found(tmp_path, policy=OneByOne(), verifier=None, engine=None, complete=None, **solver):
    graph = searching(policy, verifier, solver=Solver(**solver), complete=complete)
    async with session(tmp_path, engine=engine or ScriptedEngine(next_step)) as s:
        return await s.run(graph, "?")


async def test_steps_join_to_the_solution(tmp_path):
    result = await found(tmp_path)
    assert result.answer == "".join(STEPS)
    told = rows(tmp_path, "SELECT finish_reason, partial, depth, preview FROM candidate ORDER BY depth")
    assert told == [("boundary", 1, 0, "first\n"), ("boundary", 1, 1, "first\nsecond\n"), ("stop", 0, 2, "first\nsecond\nthird")]
    assert rows(tmp_path, "SELECT count(*) FROM call") == [(3,)]


async def test_token_ids_of_the_steps_join_as_well(tmp_path):
    prompts = []

    def reply(call: Call) -> Reply:
        prompts.append(call.prompt)
        return next_step(call)

    engine = ScriptedEngine(reply)
    await found(tmp_path, engine=engine)
    assert [engine.decode(p.prefix_ids) for p in prompts] == ["", "first\n", "first\nsecond\n"]


async def test_beginnings_are_judged_by_process_verifiers_only(tmp_path):
    await found(tmp_path, verifier=Whole())
    reasons = rows(
        tmp_path, "SELECT v.outcome, v.reason FROM verdict v JOIN candidate c ON c.id = v.candidate_id ORDER BY c.depth"
    )
    assert reasons == [("abstain", "partial"), ("abstain", "partial"), ("pass", "")]
    other = tmp_path / "other"
    other.mkdir()
    await found(other, verifier=Prefixes())
    assert rows(other, "SELECT outcome FROM verdict") == [("pass",)] * 3


async def test_a_check_may_find_the_solution_whole_at_a_boundary(tmp_path):
    async def two_lines(ctx: Context, text: str) -> bool:
        return text.count("\n") == 2

    result = await found(tmp_path, complete=two_lines)
    assert result.answer == "first\nsecond\n"
    assert rows(tmp_path, "SELECT partial FROM candidate ORDER BY depth") == [(1,), (0,)]


async def test_a_check_may_ask_the_model(tmp_path):
    async def ask(ctx: Context, text: str) -> bool:
        said = await ctx.generate(f"Is this whole? {text}", role="judge", key="complete")
        return said.text == "yes"

    def reply(call: Call) -> Reply:
        if call.text.startswith("Is this whole?"):
            return Reply("yes" if "second" in call.text else "no")
        return next_step(call)

    result = await found(tmp_path, engine=ScriptedEngine(reply), complete=ask)
    assert result.answer == "first\nsecond\n"


async def test_a_step_that_is_cut_is_no_solution(tmp_path):
    result = await found(tmp_path, OneByOne(most=1), engine=ScriptedEngine("word " * 50), step_tokens=10)
    assert rows(tmp_path, "SELECT finish_reason, partial FROM candidate") == [("length", 1)]
    assert result.outcome == "unverified"


def test_the_best_so_far_is_no_beginning_where_there_is_a_whole_answer():
    run = Run(Task(prompt="?"), 0, MemoryJournal(RunSpec(id="0" * 32, task=Task(prompt="?"), graph="")), {}, Ledger(Budget()))
    for name, partial, verdict in (
        ("a", True, None),
        ("b", True, Verdict.passed()),
        ("c", False, Verdict.failed()),
        ("d", True, Verdict.passed()),
    ):
        run.note(Candidate(id=name, position=name, text=name, partial=partial), verdict)
    assert run.best is not None
    assert run.best.id == "c"


@pytest.mark.parametrize("stop_at", [1, 2, 3])
async def test_a_run_that_was_stopped_goes_on_in_the_middle_of_a_solution(tmp_path, stop_at):
    def reply(call: Call) -> Reply:
        nonlocal made
        made += 1
        if made == stop_at:
            s.stop.request("interrupted")
        return next_step(call)

    made, graph = 0, searching(OneByOne(), Prefixes(), solver=Solver())
    started: list[str] = []
    async with session(tmp_path, engine=ScriptedEngine(reply, latency=0.01)) as s:
        with pytest.raises(Exception, match="stopped"):
            await s.run(graph, "?", on_start=started.append)
    async with session(tmp_path, engine=ScriptedEngine(next_step)) as s:
        assert (await s.resume(started[0], graph)).answer == "".join(STEPS)
    assert rows(tmp_path, "SELECT count(*), max(attempts) FROM call")[0][0] == 3


async def test_of_combined_verifiers_only_process_verifiers_are_asked_about_beginnings(tmp_path):
    for number, both in enumerate((AllOf(verifiers=[Whole(), Prefixes()]), FirstOf(verifiers=[Whole(), Prefixes()]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        await found(folder, verifier=both)
        verdicts = rows(folder, "SELECT outcome FROM verdict")
        assert verdicts == [("pass",)] * 3
        asked = rows(
            folder,
            "SELECT json_array_length(evidence, '$.parts') FROM verdict v JOIN candidate c ON c.id = candidate_id WHERE partial",
        )
        assert asked == [(1,)] * 2
    assert not AllOf(verifiers=[Whole()]).judges_prefixes


async def test_a_function_may_judge_beginnings(tmp_path):
    spec = {"name": "python_function", "function": f"{__file__}:begins_well", "timeout": None, "judges_prefixes": True}
    await found(tmp_path, verifier=spec)
    assert rows(tmp_path, "SELECT outcome FROM verdict") == [("pass",)] * 3


def begins_well(task: Task, text: str) -> bool:
    return text.startswith("first")


async def test_a_beginning_that_is_right_so_far_is_no_verified_answer(tmp_path):
    result = await found(tmp_path, OneByOne(most=2), verifier=Prefixes())
    assert result.answer == "first\nsecond\n"
    assert (result.outcome, result.score) == ("unverified", None)
