"""`burnish new`: what it writes is run, with its own tests and by the program."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.cli_kit import burnish as burnish
from tests.cli_kit import environment


def test_what_is_written_runs_and_its_tests_pass(burnish, tmp_path):
    tries = []
    for kind in ("graph", "policy", "verifier"):
        done = burnish("new", kind, f"my_{kind}", "--in", "made", "--json")
        assert (done.status, done.data["written"]) == (0, [f"my_{kind}.py", f"test_my_{kind}.py"])
        tries.append(done.data["try"][0])
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=tmp_path / "made",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (tests.returncode, "10 passed" in tests.stdout) == (0, True), tests.stdout + tests.stderr
    os.chdir("made")
    for command in tries:
        _, *arguments = shlex.split(command)
        ran = burnish(*arguments)
        assert (ran.status, "verified" in ran.err) == (0, True), ran.err


def test_nothing_is_overwritten(burnish, tmp_path):
    assert burnish("new", "verifier", "short").status == 0
    mine = tmp_path / "test_other.py"
    mine.write_text("# mine\n")
    before = {p.name: p.read_text() for p in tmp_path.iterdir()}
    for name in ("short", "other"):
        done = burnish("new", "graph", name)
        assert (done.status, "is there already" in done.err) == (2, True)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["", "My", "a-b", "1st", "class", "json", "burnish", "test_x", "é", "../x", "_"])
def test_a_name_that_would_do_harm_is_refused(burnish, tmp_path, name):
    assert burnish("new", "graph", name).status == 2
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_unknown_is_refused(burnish):
    assert burnish("new", "engine", "x").status == 2
