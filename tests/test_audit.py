"""Audits of verifiers: carried out, resumed, counted, and what follows from them for a run."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from burnish import ConfigError, ScriptedEngine, Session, Task
from burnish.compare.audit import Answer, Order, audit_batches, begun, carry_out, judge_key, pool_answers
from burnish.compare.audit_choice import Choice
from burnish.compare.audit_graph import NoEngine
from burnish.compare.audit_report import attempt_rows, lines, rate_rows, to_json, worth_rows
from burnish.compare.audit_result import AuditResult, Rates
from burnish.compare.outlook import Outlook, advice, audit_for
from burnish.core.errors import EngineUnavailable
from burnish.stats import Audit, wilson
from burnish.traces.store import Store
from tests.pool_kit import drawn_pool, tasks, url


def answer(text: str, right: bool | None = None, **fields: Any) -> Answer:
    return Answer(text=text, right=right, **fields)


async def audited(path: Path, order: Order, engine: Any = None) -> tuple[AuditResult, list[Any]]:
    async with Session(engine or NoEngine(), store=url(path)) as session:
        reader = session.store.reader()
        results = [r async for r in carry_out(session, order, begun(reader, order), lambda batch_id: None)]
        return AuditResult.read(reader, order.name), results


def order_of(verifier: Any = "regex:^1$", **fields: Any) -> Order:
    given = tasks(2, verifier=None, grader=None)
    answers = {
        "t0": [answer("1", True, model="m"), answer("one", True, model="m"), answer("2", False, model="m")],
        "t1": [answer("1", False, model="m"), answer("x", False, model="m", truncated=True), answer("1", True, model="n")],
    }
    return Order(**{"verifier": verifier, "tasks": given, "answers": answers, "source": "a test", **fields})


async def test_an_audit_counts_each_kind_of_error(tmp_path):
    found, _ = await audited(tmp_path, order_of())
    expected = Audit(accepted_right=2, rejected_right=1, accepted_wrong=1, rejected_wrong=1, abstained_wrong=1)
    rates = Rates.of(found.judged)
    assert rates.audit == expected
    assert (rates.false_accepts, rates.false_rejects, rates.abstentions) == (wilson(1, 3), wilson(1, 3), wilson(1, 6))
    assert found.reasons == {"truncated": 1}
    assert {m: r.audit.right + r.audit.wrong for m, r in found.by_model().items()} == {"m": 5, "n": 1}
    assert {s: r.audit.right + r.audit.wrong for s, r in found.by_attempt().items()} == {(1, 1): 3, (2, 2): 2, (3, 3): 1}
    assert found.first_accepts() == {(1, 1): (2, 1)}
    assert found.verifiers == [("regex", "1")]
    assert not found.oracle


async def test_a_verifier_sees_the_task_without_answers_and_labels(tmp_path):
    (tmp_path / "own.py").write_text(
        "def clean(task, text):\n    return not task.metadata.get('audit_answers') and task.metadata == {'a': 1}\n"
    )
    order = order_of(f"{tmp_path / 'own.py'}:clean", tasks=tasks(2, verifier=None, grader=None, metadata={"a": 1}))
    found, _ = await audited(tmp_path, order)
    assert {j.said for j in found.judged if j.reason != "truncated"} == {"pass"}


async def test_a_finished_audit_is_not_done_again_and_another_of_its_name_is_refused(tmp_path):
    first, results = await audited(tmp_path, order_of(name="a"))
    assert len(results) == 2
    again, results = await audited(tmp_path, order_of(name="a"))
    assert results == []
    assert again == first
    changed = [
        order_of("regex:^2$", name="a"),
        order_of(name="a", sampled=True),
        order_of(name="a", engine={"engine": "other"}),
        order_of(name="a", tasks=tasks(2, verifier=None, grader=None, extract="words")),
    ]
    for other in changed:
        with pytest.raises(ConfigError, match="others"):
            await audited(tmp_path, other)


def test_the_same_audit_has_the_same_name():
    assert order_of().name == order_of().name != order_of("regex:^2$").name
    assert order_of().name.startswith("regex-")


async def test_an_interrupted_audit_goes_on_where_it_was(tmp_path):
    (tmp_path / "own.py").write_text(
        "from pathlib import Path\n\ndef counted(task, text):\n"
        "    Path(__file__).with_name('calls').open('a').write('x')\n    return text == '1'\n"
    )
    order = order_of(f"{tmp_path / 'own.py'}:counted")
    async with Session(NoEngine(), store=url(tmp_path), concurrency=1) as session:
        async for result in carry_out(session, order, None, lambda batch_id: None):
            assert result.error is None
            session.stop.request("a test")
        with pytest.raises(ConfigError, match="unfinished: 1 of 2"):
            AuditResult.read(session.store.reader(), order.name)
    assert (tmp_path / "calls").read_text() == "xxx"
    found, results = await audited(tmp_path, order)
    assert [r.task_id for r in results] == ["t1"]
    assert (tmp_path / "calls").read_text() == "xxxxx"  # The one that was cut is not asked about.
    assert Rates.of(found.judged).audit.right == 3


async def test_the_grader_says_what_answers_leave_open(tmp_path):
    given = tasks(1, grader="numeric", verifier=None)
    order = order_of(tasks=given, answers={"t0": [answer("1"), answer("2"), answer("2", True)]})
    found, _ = await audited(tmp_path, order)
    assert [j.right for j in found.judged] == [True, False, True]


async def test_what_cannot_be_graded_counts_nowhere(tmp_path):
    (tmp_path / "unsure.py").write_text(
        "from burnish import Verdict\ndef unsure(task, text):\n    return Verdict.abstain('why')\n"
    )
    given = tasks(1, grader=f"{tmp_path / 'unsure.py'}:unsure", verifier=None)
    order = order_of(tasks=given, answers={"t0": [answer("1"), answer("1", True)]})
    found, _ = await audited(tmp_path, order)
    assert found.ungraded == 1
    assert Rates.of(found.judged).audit == Audit(accepted_right=1)
    assert any("1 answers could not be graded" in line for line in lines(found, None))


async def test_a_verifier_that_asks_a_model_needs_an_engine(tmp_path):
    order = order_of("verification_agent")
    with pytest.raises(ConfigError, match="unfinished"):
        await audited(tmp_path, order)
    reader = Store.open_reader(url(tmp_path))
    codes = {run.error_code for run in reader.runs()}
    reader.close()
    assert codes == {EngineUnavailable.default_code}
    # With an engine it is another audit, which the one that came to nothing does not stand in the way of.
    named = order_of("verification_agent", name=order.name, engine={"engine": "scripted"})
    found, _ = await audited(tmp_path, named, ScriptedEngine(lambda call: "Score: 100"))
    assert len(audit_batches_of(tmp_path)) == 1
    assert [j.said for j in found.judged].count("pass") == 5


def audit_batches_of(path: Path) -> list[Any]:
    reader = Store.open_reader(url(path))
    try:
        return audit_batches(reader)
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tasks": []}, "no task"),
        ({"verifier": "task"}, "no verifier of its own"),
        ({"verifier": "nothing"}, "no verifier is called"),
        ({"verifier": "exact", "tasks": [Task(id="t0", prompt="?")]}, "t0: verifier"),
        ({"answers": {"t0": [answer("1")], "t1": []}}, "which answers to the task t0"),
        ({"name": " "}, "no name"),
    ],
)
def test_what_cannot_be_audited_is_refused_before_anything_runs(fields, says):
    with pytest.raises(ConfigError, match=says):
        order_of(**fields)


async def pool_audit(path: Path, count: int = 12, k: int = 8, **fields: Any) -> tuple[AuditResult, list[Task]]:
    """Of the verifier of `pool_kit.tasks`, which passes 3 as well as 1, on a pool that is right in two of five samples."""
    given = tasks(count)
    pool = await drawn_pool(path, given, k)
    order = Order(verifier="task", tasks=given, answers=pool_answers(pool), sampled=True, source="the pool p", **fields)
    return (await audited(path, order))[0], given


async def test_a_pool_is_audited_by_its_grades(tmp_path):
    found, given = await pool_audit(tmp_path)
    rates = Rates.of(found.judged).audit
    assert rates.right + rates.wrong == 12 * 8
    assert (rates.rejected_right, rates.abstained) == (0, 0)
    assert 0 < rates.accepted_wrong < rates.wrong
    assert sum(r + w for r, w in found.first_accepts().values()) <= 12
    pool = await drawn_pool(tmp_path, given, 8)
    assert all(a.right is None for own in pool_answers(pool, grades=False).values() for a in own)


async def test_the_outlook_says_what_attempts_are_worth(tmp_path):
    found, _ = await pool_audit(tmp_path)
    outlook = Outlook.of(found)
    assert outlook is not None
    assert outlook.ceiling is not None
    whole = Rates.of(found.judged).audit
    assert outlook.accuracy == whole.accuracy
    assert outlook.ceiling.value == whole.precision().value
    free, costly = outlook.curves[0.0], outlook.curves[4.0]
    assert len(free.utilities) == 9
    assert free.best > costly.best == 0
    assert Outlook.of((await audited(tmp_path, order_of()))[0]) is None, "labelled answers are no samples"
    json = to_json(found, outlook)
    assert json["outlook"]["utility"][2]["best_attempts"] == 0
    rows = worth_rows(outlook)
    assert rows[3][:3] == ["4", "0", "0.00"]
    assert len({len(row) for row in rows}) == 1
    assert len(attempt_rows(found)) == 1 + 5
    assert rate_rows(found)[1][1:3] == [str(whole.right), str(whole.wrong)]


def made(by_task: list[str], **fields: Any) -> AuditResult:
    """An audit result out of letters: R and W accepted, r and w rejected; upper case right or wrong."""
    from burnish.compare.audit_result import Judged

    judged = [
        Judged(
            task_id=f"t{i}",
            model="m",
            attempt=k,
            said="pass" if letter.isupper() else "fail",
            reason="",
            right=letter in "Rr",
        )
        for i, letters in enumerate(by_task)
        for k, letter in enumerate(letters, 1)
    ]
    known: dict[str, Any] = {"name": "a", "batch_id": "", "created_ns": 0, "verifier": "task", "verifiers": [], "oracle": False}
    return AuditResult(**{**known, "source": "", "sampled": True, "keys": {}, "judged": judged, **fields})


# Half of the tasks are easy; on the others everything right is rare and one in four wrong answers passes.
DRIFTING = ["RRRRRRRR"] * 10 + ["wwwWwwwW", "wwWwwwWw"] * 5


def test_choosing_by_a_verifier_is_worth_what_it_lets_through():
    choice = Choice.of(made(["RWww", "rwww", "RRRR", "wwww"]))
    assert choice is not None
    assert {k: i.value for k, i in choice.any_of.items()} == {1: 0.375, 2: 0.5, 4: 0.75}
    assert choice.best_of[1].value == 0.375
    # The first task is right half of the times, the second as often as chance picks the one right of four rejected ones.
    assert choice.best_of[4].value == (0.5 + 0.25 + 1) / 4
    assert choice.gain[4].value == pytest.approx(choice.best_of[4].value - 0.375)
    assert choice.auroc is not None
    assert choice.auroc.interval.value == pytest.approx((2 + 0.5 + 3 * 0.5) / 6)
    assert choice.auroc.questions == 2
    assert Choice.of(made(["RW", "rw"], sampled=False)) is None
    assert Choice.of(made(["R", "w"])) is None


def test_scores_order_what_fails_alike():
    from dataclasses import replace

    result = made(["rw", "rw"])
    scored = [replace(j, score=0.6 if j.right else 0.2) for j in result.judged]
    choice = Choice.of(replace(result, judged=scored))
    assert choice is not None
    assert choice.best_of[2].value == 1
    assert choice.auroc is not None
    assert choice.auroc.informative


async def test_a_stored_audit_has_its_scores(tmp_path):
    found, _ = await pool_audit(tmp_path, 4, 2)
    assert {(j.said, j.score) for j in found.judged} == {("pass", 1.0), ("fail", 0.0)}


def test_advice_warns_where_attempts_beyond_the_best_lose():
    audit = made(DRIFTING)
    assert advice(audit, 1, cost=1) == []
    warned = advice(audit, 8, cost=1)
    assert "1 attempt is worth the risk, not 8" in warned[0]
    assert "costs 1 right answer," in warned[0]
    assert "of the wrong answers" in warned[1]
    assert advice(audit, 8, cost=0) == []
    # More attempts than there are samples: judged by what the samples say.
    assert "not 100" in advice(audit, 100, cost=1)[0]


def test_advice_is_silent_where_the_loss_is_not_clear():
    few = made(["RRrr", "wwwW"])
    assert advice(few, 4, cost=1) == []
    assert advice(made(DRIFTING, sampled=False), 8) == []
    assert advice(made([]), 8) == []


def test_advice_says_so_if_no_attempt_is_worth_its_risk():
    assert advice(made(["WWWR"] * 12), 4)[0].startswith("no attempt is worth its risk")


async def test_an_audit_serves_the_tasks_and_the_verifier_that_it_was_of(tmp_path):
    found, given = await pool_audit(tmp_path)
    reader = Store.open_reader(url(tmp_path))
    try:
        assert audit_for(reader, given) == found
        assert audit_for(reader, given, {"name": "regex", "pattern": "[13]$"}) == found
        assert audit_for(reader, given, "regex:[13]$") is None
        assert audit_for(reader, given, None) is None
        assert audit_for(reader, given[:3]) == found
        others = [Task(id=f"n{i}", prompt="?", verifier=given[0].verifier) for i in range(12)]
        assert audit_for(reader, others) is None
        assert audit_for(reader, [*given, *others]) == found
        assert audit_for(reader, [*given, *others, Task(id="one more", prompt="?")]) is None
    finally:
        reader.close()


def test_a_verifier_that_changes_is_another_verifier(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def check(task, text):\n    return True\n")
    keys = {judge_key({"name": "python_function", "function": f"{file}:check", "version": v}) for v in ("1", "2")}
    assert len(keys) == 2


async def test_two_audits_at_once_do_not_disturb_each_other(tmp_path):
    orders = [order_of(), order_of("regex:^2$")]
    (one, _), (two, _) = await asyncio.gather(*(audited(tmp_path, o) for o in orders))
    assert Rates.of(one.judged).audit.accepted_wrong == Rates.of(two.judged).audit.accepted_wrong == 1
    assert one.batch_id != two.batch_id
