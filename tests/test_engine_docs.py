"""What the documents say of engines is true: the table of capabilities, and the example of the suite for others' engines."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from burnish.core.engine import Capabilities
from burnish.engine.registry import ENGINES, SCRIPTED

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_capabilities_is_complete_and_true() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (DOCS / "engines.md").read_text().splitlines()]
    said = {row[0].strip("`"): row[1:5] for row in rows if len(row) == 6 and row[0].startswith("`") and row[0] != "`vllm`"}
    assert list(said) == [f.name for f in fields(Capabilities)]
    for column, able in ((0, ENGINES["vllm"].capabilities), (3, SCRIPTED)):
        assert {name for name, cells in said.items() if cells[column] == "yes"} == set(able.names())
    for name, cells in said.items():
        assert set(cells) <= {"yes", "*", ""}, name


def test_the_suite_for_others_runs_as_shown(tmp_path: Path) -> None:
    text = (DOCS / "testing-engines.md").read_text()
    program = re.search(r"```python\n# test_echo\.py\n(.*?)```", text, re.S)
    command = re.search(r"^    pytest (.+)$", text, re.M)
    assert program is not None
    assert command is not None
    (tmp_path / "test_echo.py").write_text(program[1])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *command[1].split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b2\d passed", done.stdout), done.stdout


def test_the_suite_finds_an_engine_that_does_not_keep_its_word(tmp_path: Path) -> None:
    text = (DOCS / "testing-engines.md").read_text()
    program = re.search(r"```python\n# test_echo\.py\n(.*?)```", text, re.S)
    assert program is not None
    wrong = program[1].replace('reason = "length"', "pass").replace("        require(self", "        0 and require(self")
    wrong = wrong.replace("Capabilities(abort=True)", "Capabilities(abort=True, seed=True, logprobs=True)")
    (tmp_path / "test_echo.py").write_text(wrong)
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "-q", "-o", "asyncio_mode=auto", "test_echo.py"]
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    failed = set(re.findall(r"^FAILED .*::(\w+)", done.stdout, re.M))
    assert failed == {
        "test_an_answer_cut_at_its_limit_says_so",
        "test_a_stop_text_is_kept_where_it_can_be",
        "test_log_probabilities",
        "test_the_likeliest_tokens",
        "test_constraints",
        "test_an_answer_is_continued_from_its_tokens",
        "test_an_image_that_it_cannot_see_is_refused",
    }
