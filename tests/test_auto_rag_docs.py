"""What the page on Auto-RAG shows is run, and what it lists is complete."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from burnish.agents.rounds import StopReason
from burnish.graphs.rag_settings import AutoRagSettings, NaiveRagSettings
from tests.helpers import rows
from tests.test_docs import ENV, ROOT, blocks

PAGE = (ROOT / "docs" / "auto_rag.md").read_text()
GARDEN = ROOT / "examples" / "garden"


def burnish(command: str, folder: Path) -> str:
    env = {**ENV, "BURNISH_HOME": str(folder / "home")}
    out = subprocess.run(shlex.split(command), cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the examples, and the corpus built as the page says."""
    path = tmp_path_factory.mktemp("garden")
    os.symlink(ROOT / "examples", path / "examples")
    for name, code in blocks(PAGE).items():
        (path / name).write_text(code)
    build, *_ = re.search(r"```sh\n(.*?)\n```", PAGE, re.S)[1].split("\n")
    burnish(build, path)
    return path


def test_the_dialogue_goes_as_the_page_says(folder):
    command = re.search(r"^burnish run auto_rag .*?(?=\n```)", PAGE, re.S | re.M)[0].replace("\\\n", " ")
    assert f"prints `{burnish(command, folder)}`" in PAGE
    (folder / "burnish.db").rename(folder / "runs.db")
    policy, reason, details = rows(folder, "SELECT policy, reason, details FROM decision")[0]
    assert (policy, reason) == ("auto_rag", "answered")
    found = json.loads(details)
    shown = re.search(r"rounds: (\[.*?\])\nretrieve", PAGE, re.S)[1].replace("\n  ", "")
    assert found["rounds"] == json.loads(shown)
    sums = rows(folder, re.search(r"```sql\n(.*?)\n```", PAGE, re.S)[1])
    assert [total for _, total in sums] == [found["effective_context_tokens"]]


def test_the_method_of_ones_own_runs(folder):
    command = re.search(r"^    (burnish run follow\.py.*)$", PAGE, re.M)[1]
    assert burnish(command, folder)


def test_what_is_listed_is_complete():
    assert all(f"| `{reason}` |" in PAGE for reason in get_args(StopReason))
    for name in re.findall(r"^\| `(\w+)` \| .* \| (?:the same|\d+|`\w+`) \|$", PAGE, re.M):
        assert name in AutoRagSettings.model_fields, name
        assert name in NaiveRagSettings.model_fields, name
    auto, naive = AutoRagSettings(), NaiveRagSettings()
    assert (auto.k, naive.k, auto.rounds, auto.elicit, auto.retries) == (3, 5, 5, 5, 1)
    assert (auto.at_end, naive.at_end, auto.temperature) == ("closed_book", "give_up", 0)


def test_the_questions_can_be_answered_from_the_passages():
    passages = {row["id"]: row["contents"] for row in map(json.loads, (GARDEN / "passages.jsonl").read_text().splitlines())}
    questions = [json.loads(line) for line in (GARDEN / "questions.jsonl").read_text().splitlines()]
    assert len(passages) == 30
    assert len(questions) == 12
    for task in questions:
        support = [passages[i] for i in task["metadata"]["support"]]
        assert len(support) > 1, "each takes several"
        assert task["reference"] == ["no"] or any(r in text for r in task["reference"] for text in support), task["id"]
