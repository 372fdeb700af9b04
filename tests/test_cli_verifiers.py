"""Verifiers from the command line: listed, shown, checked; and what a stored audit says before a run."""

import json
import re
import shlex
import signal
from pathlib import Path

import pytest

from burnish.verifiers.registry import VERIFIERS, make_verifier
from tests.cli_kit import burnish as burnish
from tests.cli_kit import kill, program, start, until

TASKS = [
    {"id": f"t{i}", "prompt": f"What is {i} + 40?", "reference": i + 40, "verifier": "regex:^[0-9]+$", "grader": "numeric"}
    for i in range(3)
]
ANSWERS = [
    {"task": "t0", "text": "40", "right": True},
    {"task": "t0", "text": "It is 40", "right": True},
    {"task": "t0", "text": "41", "right": False},
    {"task": "t1", "text": "41", "right": True},
    {"task": "t1", "text": "", "right": False},
    {"task": "t2", "text": "7", "right": False, "truncated": True},
]
CHECK = ("verifiers", "check", "regex:^[0-9]+$", "--tasks", "tasks.jsonl", "--answers", "answers.jsonl")


def written(folder: Path, answers: object = ANSWERS, tasks: object = TASKS) -> None:
    for name, rows in (("tasks", tasks), ("answers", answers)):
        lines = rows if isinstance(rows, str) else "".join(json.dumps(r) + "\n" for r in rows)  # pyright: ignore
        (folder / f"{name}.jsonl").write_text(lines)


def test_every_verifier_is_listed_and_shown_with_what_it_takes(burnish):
    listed = burnish("verifiers", "--json").data
    assert [v["name"] for v in listed] == list(VERIFIERS)
    assert all(v["summary"] and v["doc"] for v in listed)
    undocumented = [f"{v['name']}.{a['name']}" for v in listed for a in v["arguments"] if not a["doc"]]
    assert undocumented == []
    table = burnish("verifiers").out
    assert all(re.search(rf"^{name} ", table, re.M) for name in VERIFIERS)
    regex = burnish("verifiers", "show", "regex", "--json").data
    assert {**regex, "origin": "burnish", "error": ""} == next(v for v in listed if v["name"] == "regex")
    by_name = {a["name"]: a for a in regex["arguments"]}
    assert (by_name["pattern"]["required"], by_name["pattern"]["default"]) == (True, None)
    assert (by_name["timeout"]["type"], by_name["timeout"]["default"]) == ("float", 2.0)
    shown = burnish("verifiers", "show", "regex").out
    assert "pattern (str; required)\n    A regular expression" in shown
    assert "sees the reference: no" in shown
    assert burnish("verifiers", "show", "exact", "--json").data["oracle"] == "yes"
    assert burnish("verifiers", "show", "all_of", "--json").data["oracle"] == "if a part does"


def test_the_defaults_that_are_shown_are_those_that_hold(burnish):
    for entry in burnish("verifiers", "--json").data:
        if any(a["required"] for a in entry["arguments"]):
            continue
        made = make_verifier(entry["name"])
        for argument in entry["arguments"]:
            value = getattr(made, argument["name"])
            assert argument["default"] == (list(value) if isinstance(value, tuple) else value)


def test_a_verifier_of_ones_own_is_shown(burnish, tmp_path):
    (tmp_path / "own.py").write_text("def short(task, text):\n    return len(text) < 9\n")
    found = burnish("verifiers", "show", "own.py:short", "--json").data
    assert (found["name"], found["oracle"]) == ("short", "yes")
    wrong = burnish("verifiers", "show", "exakt", "--json")
    assert wrong.status == 2
    assert "exakt" in wrong.error["message"]


def test_a_check_reports_what_the_verifier_gets_wrong(burnish, tmp_path):
    written(tmp_path)
    done = burnish(*CHECK, "--json")
    assert done.status == 0
    assert done.data["all"]["counts"] == {
        "accepted_right": 2,
        "rejected_right": 1,
        "abstained_right": 0,
        "accepted_wrong": 1,
        "rejected_wrong": 1,
        "abstained_wrong": 1,
    }
    assert done.data["all"]["false_accepts"]["value"] == pytest.approx(1 / 3)
    assert done.data["all"]["false_accepts"]["low"] == pytest.approx(0.0615, abs=1e-4)
    assert next((a["first"], a["first_accepts"]) for a in done.data["by_attempt"]) == (1, {"right": 2, "wrong": 0})
    assert done.data["abstentions"] == {"truncated": 1}
    assert (done.data["finished"], done.data["oracle"], done.data["outlook"]) == (True, False, None)
    shown = burnish(*CHECK).out
    assert "1/3 .33 [.06, .79]" in shown
    assert "does not see the reference; 3 tasks, answers from answers.jsonl" in shown


def test_a_check_is_stored_and_shown_again(burnish, tmp_path):
    written(tmp_path)
    first = burnish(*CHECK, "--name", "mine", "--json")
    assert "batch" in first.err
    again = burnish(*CHECK, "--name", "mine", "--json")
    assert (again.data, again.err) == (first.data, "")
    alone = burnish("verifiers", "check", "--name", "mine", "--json")
    assert alone.data == first.data
    listed = burnish("verifiers", "audits", "--json").data
    assert [(a["name"], a["verifier"], a["tasks"], a["done"]) for a in listed] == [("mine", "regex:^[0-9]+$", 3, 3)]
    assert re.search(r"^mine .* 3 of 3 +answers.jsonl$", burnish("verifiers", "audits").out, re.M)
    other = burnish("verifiers", "check", "exact", *CHECK[3:], "--name", "mine", "--json")
    assert (other.status, "another --name" in other.error["hint"]) == (2, True)
    assert burnish("verifiers", "check", "--name", "nothing", "--json").error["hint"] == "one of: mine"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"task": "t0"}', "'text' is missing"),
        ('{"text": "1"}', "'task' is missing"),
        ('{"task": "t0", "text": "1", "wrong": 1}', "unknown field 'wrong'"),
        ('{"task": "t0", "text": "1", "right": "yes"}', "'right' is \"yes\""),
        ('{"task": 0, "text": "1"}', "'task' is 0"),
        ('{"task": "t9", "text": "1", "right": true}', "no task 't9'"),
        ('{"task": "t0", "text": " ", "right": true}', "an empty answer cannot be right"),
        ('{"task": "t0", "text": "1"', "no JSON"),
        ('["t0", "1"]', "a list is no answer"),
        ("[" * 100_000, "no JSON"),
        ('{"task": "\\u001b[31m", "text": "1"}', "\\x1b[31m"),
    ],
)
def test_a_wrong_line_is_named(burnish, tmp_path, line, says):
    written(tmp_path, json.dumps(ANSWERS[0]) + "\n\n" + line + "\n")
    done = burnish(*CHECK, "--json")
    assert done.status == 2
    assert done.error["message"].startswith("answers.jsonl:3: ")
    assert says in done.error["message"]
    assert "\x1b" not in burnish(*CHECK).err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "no verifier to check"),
        (("exact",), "nothing to check it on"),
        (("exact", "--tasks", "tasks.jsonl"), "nothing to check it on"),
        (("exact", "--answers", "answers.jsonl"), "nothing to check it on"),
        (("exact", "--pool", "p", "--tasks", "tasks.jsonl"), "nothing to check it on"),
        (("exact", "--tasks", "-", "--answers", "-"), "both come from stdin"),
        (("exact", "--tasks", "tasks.jsonl", "--answers", "none.jsonl"), "cannot be read"),
        (("exakt", *CHECK[3:]), "no verifier is called"),
        (("exact", *CHECK[3:], "--grader", "exakt"), "no verifier is called"),
        (("exact", *CHECK[3:], "--engine", "none"), "no engine is called"),
    ],
)
def test_a_wrong_request_is_refused(burnish, tmp_path, arguments, says):
    written(tmp_path)
    done = burnish("verifiers", "check", *arguments, "--json")
    assert done.status == 2
    assert says in done.error["message"]
    assert not (tmp_path / "burnish.db").exists()


def test_answers_without_labels_are_judged_by_the_grader(burnish, tmp_path):
    written(tmp_path, [{"task": "t0", "text": "40"}, {"task": "t0", "text": "It is 41"}])
    assert burnish(*CHECK, "--json").data["all"]["counts"]["accepted_right"] == 1
    written(tmp_path, [{"task": "t0", "text": "40"}], [{k: v for k, v in TASKS[0].items() if k != "grader"}])
    done = burnish(*CHECK, "--json")
    assert "which answers to the task t0 are right" in done.error["message"]
    assert burnish(*CHECK, "--grader", "numeric", "--json").status == 0


def test_answers_that_name_their_model_tell_what_attempts_are_worth(burnish, tmp_path):
    written(tmp_path, [{**a, "model": "m"} for a in ANSWERS])
    data = burnish(*CHECK, "--json").data
    assert (data["sampled"], list(data["by_model"])) == (True, ["m"])
    assert data["outlook"]["accuracy"] == 0.5
    assert data["outlook"]["allowed_fpr"] == pytest.approx(2 / 3 / 9)


def test_a_verifier_that_asks_a_model_says_that_it_needs_an_engine(burnish, tmp_path):
    written(tmp_path)
    done = burnish("verifiers", "check", "verification_agent", *CHECK[3:], "--name", "v", "--json")
    assert (done.status, done.error["kind"]) == (5, "engine_unavailable")
    assert done.error["hint"] == "name one: --engine NAME"
    done = burnish("verifiers", "check", "verification_agent", *CHECK[3:], "--name", "v", "--engine", "scripted", "--json")
    assert done.status == 0
    assert done.data["abstentions"]["unparsable"] == 4


def test_a_pool_is_checked_and_its_audit_is_heard_before_a_run(burnish, tmp_path):
    tasks = [{**TASKS[0], "id": f"t{i}", "prompt": f"What is {i} + 40?", "reference": i + 40} for i in range(8)]
    written(tmp_path, [], tasks)
    engine = ("--engine", "scripted", "--engine-arg", "accuracy=0.3")
    assert burnish("pool", "draw", "p", "--tasks", "tasks.jsonl", "-k", "6", *engine).status == 0
    run = ("run", "best_of_n", "--tasks", "tasks.jsonl", *engine, "--set", "n=6")
    assert "note:" not in burnish(*run).err
    data = burnish("verifiers", "check", "task", "--pool", "p", "--json").data
    counts = data["all"]["counts"]
    # Every number passes, right or wrong.
    assert counts["rejected_right"] == counts["rejected_wrong"] == 0
    assert sum(counts.values()) == 48
    assert data["over_tasks"]["fpr"]["value"] == 1.0
    assert [c["best_attempts"] for c in data["outlook"]["utility"]] == [1, 0, 0]
    warned = burnish(*run)
    assert "note: no attempt is worth its risk" in warned.err
    assert "note:" not in warned.out
    assert "note:" not in burnish(*run, "--verifier", "numeric").err
    assert "note:" not in burnish("run", "majority", *run[2:]).err
    compared = burnish("compare", "single", "best_of_n:n=6", "--tasks", "tasks.jsonl", *engine)
    assert compared.err.count("note: no attempt is worth its risk") == 1
    regraded = burnish("verifiers", "check", "task", "--pool", "p", "--grader", "regex:^4[0-9]$", "--json").data
    assert regraded["all"]["counts"]["accepted_right"] > counts["accepted_right"]


def test_a_pool_whose_tasks_bring_no_verifier_is_checked_by_one_that_is_named(burnish, tmp_path):
    written(tmp_path, [], [{k: v for k, v in task.items() if k != "verifier"} for task in TASKS])
    assert burnish("pool", "draw", "p", "--tasks", "tasks.jsonl", "-k", "2", "--engine", "scripted").status == 0
    refused = burnish("verifiers", "check", "task", "--pool", "p", "--json")
    assert (refused.status, refused.error["kind"]) == (2, "config")
    assert "has no verifier of its own, nor have 2 more of 3" in refused.error["message"]
    assert "name a verifier in place of task" in refused.error["hint"]
    assert burnish("verifiers", "check", "regex:[0-9]", "--pool", "p").status == 0


def test_a_killed_check_goes_on_by_the_same_command_or_as_runs(tmp_path):
    written(tmp_path)
    (tmp_path / "own.py").write_text(
        "import time\nfrom pathlib import Path\n\ndef slow(task, text):\n    here = Path(__file__).parent\n"
        "    if task.id == 't2' and not (here / 'go').exists():\n        (here / 'there').touch()\n        time.sleep(60)\n"
        "    return True\n"
    )
    answers = [a for a in ANSWERS if not a.get("truncated")] + [{"task": "t2", "text": "7", "right": False}]
    written(tmp_path, answers)
    command = ("verifiers", "check", "own.py:slow", *CHECK[3:])
    process = start(*command, "--concurrency", "1", cwd=tmp_path)
    until(lambda: (tmp_path / "there").exists())
    kill(process)
    audits = json.loads(program("verifiers", "audits", "--json", cwd=tmp_path).out)["data"]
    assert (audits[0]["done"], audits[0]["tasks"]) == (2, 3)
    assert program("verifiers", "check", "--name", audits[0]["name"], cwd=tmp_path).status == 2
    (tmp_path / "go").touch()
    resumed = program("runs", "resume", "--all", cwd=tmp_path)
    assert resumed.status == 0, resumed.err
    done = program(*command, "--json", cwd=tmp_path)
    assert done.err == ""
    assert sum(done.data["all"]["counts"].values()) == 6


def test_an_interrupted_check_says_how_to_go_on(tmp_path):
    written(tmp_path)
    (tmp_path / "own.py").write_text(
        "import time\nfrom pathlib import Path\n\ndef slow(task, text):\n    Path(__file__).with_name('there').touch()\n"
        "    time.sleep(60)\n    return True\n"
    )
    process = start("verifiers", "check", "own.py:slow", *CHECK[3:], "--json", cwd=tmp_path)
    until(lambda: (tmp_path / "there").exists())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    envelope = json.loads(out)
    assert process.returncode == 130
    assert (envelope["truncated"], envelope["data"]["finished"], envelope["data"]["tasks"]) == (True, False, 3)


def test_the_document_on_audits_shows_what_happens(burnish):
    text = (Path(__file__).parent.parent / "docs" / "audit.md").read_text()
    for name, block in zip(("tasks", "answers"), re.findall(r"```json\n(.*?)```", text, re.S), strict=True):
        Path(f"{name}.jsonl").write_text(block)
    (program_text,) = re.findall(r"```python\n(.*?)```", text, re.S)
    sessions = re.findall(r"((?:^    .*\n|^\n(?=    ))+)", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    commands = [line for block in sessions for line in block.splitlines() if line.startswith("    $ ")]
    assert len(commands) == 7
    for block in re.split(r"^    \$ burnish ", "".join(sessions), flags=re.M)[1:]:
        command, _, output = block.partition("\n")
        done = burnish(*shlex.split(command))
        assert done.status in (0, 3), done.err
        shown = [line.strip() for line in output.splitlines() if line.strip()]
        printed = [line.strip() for line in (done.out + done.err).splitlines()]
        assert [line for line in shown if line not in printed] == []
    exec(program_text, found := {})
    assert found["model"].best_cap(fp_cost=1) == 2


def test_answers_of_several_models_are_told_apart_and_no_samples_of_one(burnish, tmp_path):
    written(tmp_path, [{**a, "model": "mn"[i % 2]} for i, a in enumerate(ANSWERS)])
    data = burnish(*CHECK, "--json").data
    assert (data["sampled"], data["outlook"], list(data["by_model"])) == (False, None, ["m", "n"])
    assert {m: sum(r["counts"].values()) for m, r in data["by_model"].items()} == {"m": 3, "n": 3}
    assert re.search(r"^n +2 +1 ", burnish(*CHECK).out, re.M)
