"""What the documents show is run: programs, commands, queries."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}


def example(name: str) -> str:
    return re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", README, re.S)[1]


def blocks(text: str) -> dict[str, str]:
    """Python blocks that begin with the name of their file."""
    return {m[1]: m[2] for m in re.finditer(r"```python\n# (\w+\.py)\n(.*?)```", text, re.S)}


def burnish(command: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(shlex.split(command), cwd=folder, env=ENV, capture_output=True, text=True, timeout=60)


def test_the_readme_program_prints_what_it_says(tmp_path):
    out = subprocess.run([sys.executable, "-c", example("readme_program")], cwd=tmp_path, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert f"prints `{out.stdout.strip()}`" in README


def test_the_readme_commands_and_query_work(tmp_path):
    for command in re.findall(r"^    \$ (.+)$", README, re.M)[:2]:
        for part in command.split(" && "):
            if part.startswith("cd "):
                tmp_path = tmp_path / part[3:]
                continue
            out = burnish(part, tmp_path)
            assert out.returncode == 0, out.stderr
    assert burnish("burnish runs list", tmp_path).stdout.count("graph.py:graph") == 4
    rejected = sqlite3.connect(tmp_path / "burnish.db").execute(example("readme_query")).fetchall()
    assert rejected
    assert all(row[3] in ("fail", "abstain") and row[4] for row in rejected)
    run = burnish("burnish runs list --limit 1", tmp_path).stdout.splitlines()[1].split()[0]
    assert "chosen" in burnish(f"burnish runs tree {run}", tmp_path).stdout


def test_the_readme_graph_runs(tmp_path):
    (tmp_path / "mine.py").write_text(example("readme_graph"))
    command = re.search(r"^    (burnish run mine\.py.+)$", README, re.M)[1]
    out = burnish(command, tmp_path)
    assert out.returncode == 0, out.stderr
    assert out.stdout.strip() == "42"


@pytest.mark.parametrize("command", re.findall(r"^    (burnish run \w+(?:\.py:\w+)? .+scripted)$", EXTENDING, re.M))
def test_the_commands_of_extending_work(tmp_path, command):
    for name, code in blocks(EXTENDING).items():
        (tmp_path / name).write_text(code)
    for first in re.findall(r"^    (burnish new .+)$", EXTENDING, re.M):
        if f"{first.split()[-1]}.py:" in command:
            assert burnish(first, tmp_path).returncode == 0
    out = burnish(command, tmp_path)
    assert out.returncode in (0, 3), out.stderr
    assert out.stdout.strip()


@pytest.mark.parametrize("file", ["two_agents", "policy", "tools"])
def test_the_examples_run_as_they_say(tmp_path, file):
    text = (ROOT / "examples" / f"{file}.py").read_text()
    command = re.search(r"^    (burnish run .+?(?<!\\))$", text.replace("\\\n", " "), re.M)[1]
    command = command.replace("examples/", f"{ROOT}/examples/")
    out = burnish(command, tmp_path)
    assert out.returncode == 0, out.stderr
    if file == "tools":
        assert out.stdout.strip() == "about 77380 days"
    if file == "policy":
        assert out.stdout.strip() == "42"
