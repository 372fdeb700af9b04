"""The PlanGEN benchmark on a scripted engine: equal budgets, done once, and faults that a test plants are found in the traces."""

import json

import pytest

from burnish.bench import plangen as bench
from burnish.bench.evaluate import carried_out
from burnish.bench.plangen_faults import Agents, Lost, agent_rows, choice_lines, lost_rows, token_rows
from burnish.compare.plan import Arm, Plan
from burnish.compare.summary import summarise
from burnish.compare.trial import Judged, Trial
from burnish.core.runs import Usage
from burnish.core.task import Task
from burnish.engine.scripted import ScriptedEngine
from tests.helpers import rows
from tests.plangen_kit import Model, again, plan_of, score

TASKS = [
    Task(
        id=f"sum-{i}",
        prompt=f"What is {i} + 1?",
        reference=str(i + 1),
        extract="last_number",
        grader={"name": "numeric", "expected": i + 1},
        verifier={"name": "regex", "pattern": r"\d+"},
        sampling={"max_tokens": 16},
    )
    for i in range(6)
]
ARMS = ["single", "best_of_n", "tree_of_thought", "rebase", "mixture"]
WRONG = "It is 1000."


def order(path, tokens=600, **more):
    return bench.Order(tasks=TASKS, name="t", tokens=tokens, agent_tokens=64, children=3, store=path / "runs.db", **more)


async def measured(judge, what, engine):
    """The one result."""
    (found,) = [result async for result in bench.measured([judge], what, engine)]
    return found


def sometimes_right(call):
    number = int(call.text.split("What is ")[1].split()[0])
    return f"It is {number + 1}." if call.seed % 3 == 0 else WRONG


def planner(**replies):
    return ScriptedEngine(Model(**{"plan": sometimes_right, "step": sometimes_right, **replies}))


def knows(call):
    """A judge that is always right."""
    return score(-100 if WRONG in plan_of(call) else 100)


async def test_a_perfect_judge_loses_nothing_that_was_found(tmp_path):
    what, trials, found = await measured("model", order(tmp_path), planner(judge=knows))
    assert list(trials) == ARMS
    arms = {a.name: a for a in summarise(what, trials)}
    for name in ARMS[1:]:
        lost = Lost.of(trials[name])
        assert lost.passed_over == 0
        assert lost.right + lost.none_right + lost.none == len(TASKS)
        assert arms[name].verification.audit.accepted_wrong == 0
        assert found[name].unread == 0
        assert found[name].lists == [2] * len(TASKS)
    assert arms["best_of_n"].right > arms["single"].right
    assert found["single"].judgements == 0


async def test_a_judge_that_likes_what_is_wrong_is_found_out(tmp_path):
    likes = planner(judge=lambda call: score(100 if WRONG in plan_of(call) else 90))
    what, trials, found = await measured("model", order(tmp_path), likes)
    best = next(a for a in summarise(what, trials) if a.name == "best_of_n")
    assert best.verification.audit.accepted_right == 0
    assert best.verification.fpr.value == 1
    assert Lost.of(trials["best_of_n"]).passed_over > 0
    assert found["best_of_n"].auroc is None or found["best_of_n"].auroc.value == 0


async def test_replies_that_cannot_be_read_are_counted(tmp_path):
    mute = planner(judge="I like it.", constrain="There are no constraints.", select="whatever", plan=WRONG, step=WRONG)
    _, _, found = await measured("model", order(tmp_path), mute)
    for name in ARMS[1:]:
        a = found[name]
        assert a.unread == a.judgements > 0
        assert a.lists == [0] * len(TASKS)
    assert found["mixture"].priors_unread == sum(found["mixture"].chosen.values()) > 0
    table = agent_rows(found)
    assert [row[0] for row in table[1:]] == ARMS[1:]
    assert len(choice_lines(found)) == 1


async def test_first_plans_and_those_that_follow_are_told_apart(tmp_path):
    spoilt = planner(plan=lambda call: WRONG if again(call) else sometimes_right(call), judge="No.\nScore: 0")
    _, trials, found = await measured("model", order(tmp_path), spoilt)
    mixture = found["mixture"]
    assert list(mixture.first) == [sum(t.candidates[0].right for t in trials["mixture"]), len(TASKS)]
    assert mixture.first[0] > 0
    assert mixture.later[0] == 0 < mixture.later[1]
    assert sum(mixture.chosen.values()) > 0
    assert list(found["best_of_n"].later) == [0, 0]


@pytest.mark.parametrize("judge", bench.JUDGES)
async def test_no_run_of_any_arm_exceeds_its_tokens_and_all_roles_are_counted(tmp_path, judge):
    what, trials, found = await measured(judge, order(tmp_path, tokens=200), planner())
    for name, own in trials.items():
        assert len(own) == len(TASKS)
        assert max(t.usage.output_tokens for t in own) <= 200
        mean = sum(t.usage.output_tokens for t in own) / len(own)
        assert sum(found[name].generated.values()) == pytest.approx(mean)
    asked = dict(rows(tmp_path, "SELECT role, count(*) FROM call WHERE kind = 'generate' GROUP BY role"))
    assert ("judge" in asked) == ("constraint" in asked) == (judge == "model")
    assert {row[0] for row in token_rows(found)[1:]} == set(ARMS)
    assert "== t-" + judge in bench.tables(what, trials, found)


async def test_what_the_store_has_is_not_done_again(tmp_path):
    first = await measured("task", order(tmp_path), planner())
    model = Model(plan=AssertionError("asked again"), step=AssertionError("asked again"))
    again = await measured("task", order(tmp_path), ScriptedEngine(model))
    assert bench.to_json(*again) == bench.to_json(*first)
    assert model.asked == []


async def test_a_comparison_can_make_the_grader_plangens_judge(tmp_path):
    arms = [Arm.of("single:verifier=none"), Arm.of("oracle=plangen:judge=task,verifier=grader,rounds=6")]
    what = Plan.of("oracle", arms, TASKS, budget="calls=60")
    trials = await carried_out(f"sqlite:///{tmp_path}/runs.db", what, planner())
    single, oracle = summarise(what, trials)
    assert oracle.right > single.right
    assert oracle.verification.accepted_wrong == 0
    assert oracle.verification.accepted_right == oracle.right


def test_what_became_of_a_task_is_told_apart():
    def trial(right, *candidates):
        return Trial(
            task_id="t",
            seed=0,
            right=right,
            outcome="unverified",
            usage=Usage(),
            candidates=[Judged(said=None, right=c) for c in candidates],
        )

    trials = [
        trial(True, True, False),
        trial(False, False, True, None, True),
        trial(None, None),
        trial(False),
        trial(False, False),
    ]
    assert Lost.of(trials) == Lost(right=1, passed_over=1, none_right=2, none=1, blind=(0.5 + 0.5) / 5)
    assert lost_rows({"not begun": [], "arm": trials})[1] == ["arm", "1", "1", "2", "1", ".20"]


def test_the_table_of_agents_is_left_out_where_no_agent_was_asked():
    assert agent_rows({"single": Agents(generated={"proposer": 7.0})}) == []


def test_the_command_prints_and_writes_everything(tmp_path, capsys):
    asked, model = [], Model(plan="one two three", step="one two three")
    engine = ScriptedEngine(lambda call: (asked.append(call), model(call))[1])
    where = ["--store", str(tmp_path / "runs.db"), "--out", str(tmp_path / "out")]
    size = ["--family", "six_words", "--limit", "3", "--tokens", "700", "--max-tokens", "16", "--agent-tokens", "64"]
    assert bench.main(["micro", *size, *where], engine) == 0
    out, err = capsys.readouterr()
    assert {call.sampling.max_tokens for call in asked} == {16, 64}
    assert "3 tasks with 1 run each can show a difference of about" in err
    assert "== plangen-micro-six_words-3x700-task" in out
    assert "== plangen-micro-six_words-3x700-model" in out
    written = json.loads((tmp_path / "out" / "plangen-micro-six_words-default.json").read_text())
    for judge in bench.JUDGES:
        part = written["judges"][judge]
        assert part["power"].startswith("3 tasks")
        assert [a["name"] for a in part["arms"]] == ARMS
        assert sum(part["faults"]["mixture"]["lost"][k] for k in ("right", "passed_over", "none_right", "none")) == 3
        assert set(part["bootstrap"]) == set(ARMS) - {"best_of_n"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["micro", "--family", "nine_words"], "has no family 'nine_words'"),
        (["macro"], "no task set is called 'macro'"),
        (["micro", "--limit", "2", "--tokens", "20"], "cannot start on any task"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_runs(tmp_path, capsys, arguments, said):
    model = Model()
    assert bench.main([*arguments, "--store", str(tmp_path / "p.db")], ScriptedEngine(model)) == 2
    assert said in capsys.readouterr().err
    assert model.asked == []
