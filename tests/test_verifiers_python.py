"""Functions as verifiers: in this process, and in workers that survive whatever they do."""

import asyncio
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import PythonFunction, make_verifier

FUNCTIONS = str(Path(__file__).with_name("verifier_functions.py"))
TASK = Task(prompt="say yes", id="t", reference=42, grader="exact")


def wrapped(name, **rest):
    return PythonFunction(function=f"{FUNCTIONS}:{name}", **rest)


async def verdict(verifier, text="yes", task=TASK):
    return await judge(verifier, task, Candidate.of(text))


@pytest.mark.parametrize("limit", [None, 20])
async def test_bools_scores_and_verdicts(limit):
    assert (await verdict(wrapped("says_yes", timeout=limit))).outcome == "pass"
    assert (await verdict(wrapped("says_yes", timeout=limit), "no")).outcome == "fail"
    assert (await verdict(wrapped("slowly_says_yes", timeout=limit))).score == 1
    assert (await verdict(wrapped("slowly_says_yes", timeout=limit), "no")).score == 0.25


async def test_a_worker_keeps_the_functions_module():
    pids = set()
    for _ in range(12):
        found = await verdict(wrapped("counts", timeout=20))
        pids.add(found.evidence["pid"])
        assert found.evidence["nan"] is None
        assert found.valid_prefix == 3
    assert found.feedback != "call 1"
    assert len(pids) < 12


@pytest.mark.parametrize("limit", [None, 20])
async def test_the_reference_is_withheld_unless_it_is_an_oracle(limit):
    blind = await verdict(wrapped("sees", timeout=limit, oracle=False))
    assert blind.feedback == "reference None, grader None, id t"
    assert wrapped("sees", oracle=False).oracle is False
    assert wrapped("sees").oracle is True
    sighted = await verdict(wrapped("sees", timeout=limit), task=Task(prompt="p", id="t", reference={"a": 1}))
    assert sighted.feedback == "reference {'a': 1}, grader None, id t"


@pytest.mark.parametrize("limit", [None, 20])
async def test_no_reference_in_feedback(limit):
    assert (await verdict(wrapped("tells", timeout=limit))).feedback == "expected [withheld], of 142 ways"
    found = await verdict(wrapped("raises", timeout=limit))
    assert (found.outcome, found.reason) == ("abstain", "verifier_error")
    assert "42" not in found.feedback
    assert found.evidence["error"] == "RuntimeError: expected 42"


HARMFUL = {
    "hangs": "timeout",
    "spins": "timeout",
    "ignores_signals": "timeout",
    "raises": "verifier_error",
    "leaves": "verifier_error",
    "exits": "verifier_crashed",
    "segfaults": "verifier_crashed",
    "recurses": "verifier_error",
    "eats_memory": "memory_limit",
    "is_huge": "verifier_crashed",
    "is_nan": "bad_score",
    "is_too_much": "bad_score",
    "is_negative": "bad_score",
    "lies": "bad_score",
    "is_text": "bad_return",
    "is_nothing": "bad_return",
    "is_verdict_of_rubbish": "bad_return",
    "has_bad_outcome": "bad_outcome",
    "has_bad_prefix": "bad_return",
}


@pytest.mark.parametrize(("name", "reason"), HARMFUL.items())
async def test_harm_ends_as_an_abstention(name, reason):
    seconds = 1.0 if reason == "timeout" else 30
    began = time.monotonic()
    found = await verdict(wrapped(name, timeout=seconds, memory_mb=200))
    assert (found.outcome, found.reason, found.score) == ("abstain", reason, None)
    assert time.monotonic() - began < 30
    assert (await verdict(wrapped("says_yes", timeout=20))).outcome == "pass"


@pytest.mark.parametrize("name", [n for n, reason in HARMFUL.items() if reason.startswith(("bad", "verifier_error"))])
async def test_harm_without_a_worker_ends_as_an_abstention_too(name):
    found = await verdict(wrapped(name))
    assert (found.outcome, found.reason, found.score) == ("abstain", HARMFUL[name], None)


@pytest.mark.parametrize("name", ["prints", "forks", "has_odd_evidence"])
async def test_what_is_only_odd_does_no_harm(name):
    assert [(await verdict(wrapped(name, timeout=20))).outcome for _ in range(5)] == ["pass"] * 5


async def test_many_at_once_that_hang_and_answer():
    async def outcome(name):
        return (await verdict(wrapped(name, timeout=1.5))).outcome

    names = ["says_yes", "exits", "says_yes", "spins", "says_yes", "raises"] * 2
    found = await asyncio.gather(*map(outcome, names))
    assert found == ["pass" if name == "says_yes" else "abstain" for name in names]


def outer():
    def inner(task, text):
        return True

    return inner


@pytest.mark.parametrize("function", [lambda task, text: True, outer()], ids=["lambda", "closure"])
async def test_what_cannot_be_sent_is_refused_only_with_a_timeout(function):
    assert (await verdict(PythonFunction(function=function))).outcome == "pass"
    with pytest.raises(ConfigError, match="cannot be sent to a worker process"):
        PythonFunction(function=function, timeout=1)


async def test_a_function_of_a_module_is_sent_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "shipped_checks.py").write_text(
        "def says_yes(task, text):\n    return 'yes' in text\nsays = says_yes\ndef says_yes(task, text):\n    return False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import shipped_checks  # pyright: ignore[reportMissingImports]

    assert (await verdict(PythonFunction(function=shipped_checks.says_yes, timeout=20))).outcome == "fail"
    assert (await verdict(make_verifier("python:shipped_checks:says"))).outcome == "pass"
    with pytest.raises(ConfigError, match="another object"):
        PythonFunction(function=shipped_checks.says, timeout=20)


async def test_a_relative_file_is_found_whatever_the_workers_directory(tmp_path, monkeypatch):
    (tmp_path / "here.py").write_text("def f(task, text):\n    return True\n")
    monkeypatch.chdir(tmp_path)
    assert (await verdict(make_verifier("here.py:f"))).outcome == "pass"


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("python:nowhere_at_all:f", "cannot be found"),
        ("python:json:nothing", "has no nothing"),
        ("python:f", "names no verifier"),
        ("python:..:f", "importing the verifier"),
        ("missing.py:f", "there is no file"),
        (f"{FUNCTIONS}:", "names no verifier"),
        (f"{FUNCTIONS}:not_a_function", "is not a function"),
        (f"{FUNCTIONS}:takes_one", r"does not take \(task, text\)"),
    ],
)
def test_what_is_no_function_is_refused(spec, what):
    with pytest.raises(ConfigError, match=what):
        make_verifier(spec)


def test_bad_timeouts_are_refused():
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="timeout"):
            wrapped("says_yes", timeout=timeout)


def test_the_version_changes_with_the_source(tmp_path):
    versions = []
    for number, body in enumerate(("True", "False", "True")):
        file = tmp_path / f"v{number}.py"
        file.write_text(f"def f(task, text):\n    return {body}\n")
        versions.append(PythonFunction(function=f"{file}:f").version)
    assert versions[0] == versions[2] != versions[1]
    assert wrapped("says_yes", version="9").version == "9"


def run(script, tmp_path):
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(script))
    return subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=60, cwd=tmp_path)


BODY = """
    import asyncio
    from burnish.core.candidate import Candidate
    from burnish.core.task import Task
    from burnish.verifiers import PythonFunction

    def check(task, text):
        return "yes" in text

    def main():
        verifier = PythonFunction(function=check, timeout=20)
        print(asyncio.run(verifier.verify(Task(prompt="p"), Candidate.of("yes"))).outcome)
"""


def test_a_function_of_the_script_itself(tmp_path):
    done = run(BODY + "\n    if __name__ == '__main__':\n        main()\n", tmp_path)
    assert (done.stdout, done.stderr) == ("pass\n", "")


def test_a_script_that_would_run_again_is_refused(tmp_path):
    done = run(BODY + "\n    main()\n", tmp_path)
    assert done.stdout == ""
    assert "a second time" in done.stderr
