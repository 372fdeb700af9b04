"""Task sets with data: tiny files in the exact formats, and the real ones where BURNISH_DATA names them."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from burnish.bench.sets.arithmetic import read_expression
from burnish.bench.sets.bbh import KINDS
from burnish.bench.sets.graders_bbh import final_answer
from burnish.bench.sets.graders_game24 import expression_text
from burnish.bench.sets.graders_gsm8k import equations, equations_hold
from burnish.bench.sets.registry import data_folder, load_tasks, task_set
from burnish.bench.sets.rows import json_lines
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.extract import answer_key, extractor
from burnish.core.task import Task
from burnish.core.verdict import Verdict
from burnish.core.verify import judge
from burnish.verifiers import VERIFIERS, make_verifier

real_data = pytest.mark.skipif("BURNISH_DATA" not in os.environ, reason="BURNISH_DATA names no folder with the data")


async def judged(task: Task, text: str, by: str = "grader") -> Verdict:
    """What the task's grader or verifier says of a text, as a run would have it."""
    return await judge(make_verifier(getattr(task, by)), task, Candidate.of(text))


async def outcome(task: Task, text: str, by: str = "grader") -> str:
    return (await judged(task, text, by)).outcome


def write_lines(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def different(task: Task) -> bool:
    """Whether grader and verifier are two, and the verifier sees no reference."""
    return make_verifier(task.grader) != make_verifier(task.verifier) and not make_verifier(task.verifier).oracle


class TestGsm8k:
    ROW = {"question": "Two hens lay 1,000 eggs each. Half break.", "answer": "2*1000=<<2*1000=2000>>2000\n#### 1,000"}

    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        write_lines(tmp_path / "test.jsonl", self.ROW)
        return load_tasks("gsm8k", tmp_path)[0]

    def test_the_task(self, task: Task) -> None:
        assert task.id == "gsm8k/test/0"
        assert task.reference == 1000
        assert task.prompt.startswith(self.ROW["question"])
        assert "####" in task.prompt
        assert different(task)

    @pytest.mark.parametrize(
        ("text", "wanted"), [("... #### 1000", "pass"), ("It is $1,000.00.", "pass"), ("999", "fail"), ("no", "fail")]
    )
    async def test_the_grader(self, task: Task, text: str, wanted: str) -> None:
        assert await outcome(task, text) == wanted
        assert (answer_key(extractor(task.extract), text, truncated=False) == "1000") == (wanted == "pass")

    async def test_the_verifier_checks_equations_and_not_the_answer(self, task: Task) -> None:
        assert await outcome(task, "3 * 4 = 12\n#### 12", "verifier") == "pass"
        wrong = await judged(task, "3 + 4 = 7\nThen 3 * 4 = 13.\n#### 13", "verifier")
        assert (wrong.outcome, wrong.score, wrong.valid_prefix) == ("fail", 0.5, len("3 + 4 = 7\n"))
        assert wrong.feedback == "3 * 4 = 13 is not right"
        assert await outcome(task, "I do not know", "verifier") == "fail"
        assert await outcome(task, "It is 12.", "verifier") == "abstain"

    @pytest.mark.parametrize("answer", ["no mark", "#### many", "#### 1 2", ""])
    def test_an_answer_without_a_number_is_named(self, tmp_path: Path, answer: str) -> None:
        write_lines(tmp_path / "test.jsonl", self.ROW, {"question": "q", "answer": answer})
        with pytest.raises(ConfigError, match=r"test\.jsonl:2"):
            load_tasks("gsm8k", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "He has 16 - 3 - 4 = <<16-3-4=9>>9 eggs.",
        "$5 x 3 = $15",
        r"\( 3 \times 4 = 12 \)",
        r"12 \div 4 = 3",
        "**10 / 4 = 2.5**",
        "10 / 3 = 3.33",
        "10/3 = 3",
        "1,000 + 2,500 = 3,500.",
        "(2 * 3 = 6)",
        "- 16 - 3 = 13",
        "1. 2 + 2 = 4. 5 + 6 = 11",
        "2 + 3 = 1 + 4 = 5",
        "7 − 2 = 5, and 3×2=6",
    ],
)
def test_equations_that_are_right(text: str) -> None:
    found = list(equations(text))
    assert found
    assert all(equation.right for equation in found)


@pytest.mark.parametrize(
    "text", ["3 * 4 = 13", "16 - 3 = 12 eggs", "$5 x 3 = $16", "10 / 3 = 4", "1.5 + 1 = 2.6", "2 + 2 = 2 + 3"]
)
def test_equations_that_are_wrong(text: str) -> None:
    assert [equation.right for equation in equations(text)] == [False]


@pytest.mark.parametrize(
    "text",
    [
        "16 eggs - 3 = 13 eggs",
        "x = 5 and day 5 = 6 eggs",
        "3x + 4 = 10",
        "x2 * 3 = 7",
        "1 / 5 = 20%",
        "20% * 50 = 10",
        "2^3 + 1 = 9",
        "2 ^ 3 + 1 = 9",
        "2 * 3 = 6y",
        r"\frac{1}{2} * 4 = 2",
        "1 / 0 = 5",
        "= 4 =",
        "1 + 1 = " + "9" * 5000,
        "(" * 5000 + "1 + 1 = 3",
        "-" * 5000 + "1 + 1 = 3",
    ],
)
def test_what_is_not_understood_is_no_equation(text: str) -> None:
    assert list(equations(text)) == []
    assert equations_hold(Task(prompt="q"), text + "\n#### 5").reason == "no_equation"


def test_reading_equations_takes_linear_time() -> None:
    for text in (
        "1 + 1 = 2 " * 20_000,
        "(" * 200_000 + "1 + 1 = 2",
        "= " * 100_000,
        "1 x " * 50_000 + "= 1",
        "1,1" * 60_000,
        "\\times" * 30_000,
    ):
        list(equations(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [("(4 + 8) * (6 - 4)", 24), ("8 / (3 - 8 / 3)", 24), ("0.1 * 3", Fraction(3, 10)), ("-2 - -3", 1), ("6 ÷ 4 × 2", 3)],
)
def test_expressions_have_exact_values(text: str, value: Fraction) -> None:
    found = read_expression(text)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4 ** 6",
        "9 // 2",
        "4 8",
        "1e9",
        "0x10",
        "__import__('os')",
        "1 / 0",
        "(1",
        "1,2",
        "2(3)",
        "1_0",
        "1j",
        "1 if 1 else 2",
        "7" * 201,
    ],
)
def test_what_is_no_expression(text: str) -> None:
    assert read_expression(text) is None


class TestGame24:
    @pytest.fixture
    def task(self, tmp_path: Path) -> Task:
        (tmp_path / "24.csv").write_text("Rank,Puzzles,AMT (s),Solved rate\n1,4 4 6 8,4.4,99.20%\n")
        return load_tasks("game24", tmp_path)[0]

    def test_the_task_is_not_among_its_own_examples(self, task: Task) -> None:
        assert task.id == "game24/1"
        assert "4 4 6 8" in task.prompt
        assert len(task.messages) == 8
        assert not any("4 4 6 8" in message.content for message in task.messages)
        assert task.metadata["solved_rate"] == 0.992
        assert different(task)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("(4 + 8) * (6 - 4) = 24", ""),
            ("Steps:\n4 + 8 = 12\nAnswer: (4+8)*(6-4)", ""),
            ("`(4 + 8) × (6 − 4)`", ""),
            ("$(4 + 8) * (6 - 4) = 24$.", ""),
            ("(4 + 8) * (6 - 4) = 25", ""),
            ("4 * 6", "numbers"),
            ("4 + 4 + 8 + 8", "numbers"),
            ("(4 + 8) * (6 - 4) + 4 - 4", "numbers"),
            ("4.0 + 4 + 6 + 8", "numbers"),
            ("4 + 4 + 6 + 8", "mismatch"),
            ("4 ** 4 + 6 + 8", "no_answer"),
            ("8 / (4 - 4) + 6", "no_answer"),
            ("There is no solution.", "no_answer"),
            ("24", "numbers"),
        ],
    )
    async def test_grader_and_verifier(self, task: Task, text: str, reason: str) -> None:
        for by in ("grader", "verifier"):
            assert (await judged(task, text, by)).reason == reason

    def test_the_line_that_is_read(self) -> None:
        assert expression_text("Input: 1 2\nANSWER : 1 + 2 = 3\n\n") == "1 + 2"
        assert expression_text("") == ""

    @pytest.mark.parametrize("row", ["1,4 4 6,4.4,99%", "1,4 4 6 x,4.4,99%", "1,4 4 6 8,4.4,often", "x,4 4 6 8,4.4,99%", "1"])
    def test_a_malformed_row_is_named(self, tmp_path: Path, row: str) -> None:
        (tmp_path / "24.csv").write_text(f"Rank,Puzzles,AMT (s),Solved rate\n1,4 4 6 8,4.4,99.20%\n{row}\n")
        with pytest.raises(ConfigError, match=r"24\.csv:3"):
            load_tasks("game24", tmp_path)


class TestSpider:
    ROWS = (
        {"db": "pets", "gold": "SELECT name FROM pet ORDER BY age", "query": "Names by age?", "hardness": "easy"},
        {"db": "pets", "gold": "SELECT name FROM pet WHERE age > 90", "query": "Names of the very old?", "hardness": "easy"},
        {"db": "pets", "gold": "SELECT avg(age) FROM pet WHERE age > 90", "query": "Age of the very old?", "hardness": "medium"},
        {"db": "pets", "gold": "SELECT count(*) FROM pet", "query": "How many?", "hardness": "easy"},
    )

    def folder(self, path: Path, layout: str = "derived_sqlite/pets.sqlite") -> Path:
        database = path / layout
        database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(
                "CREATE TABLE pet(\n  name TEXT, age INTEGER);\nINSERT INTO pet VALUES('Rex', 7), ('Mia', 2);"
            )
        (path / "ic_spider_dev.json").write_text(
            json.dumps([{**row, "db_tables": {"pet": ["name", "age"]}} for row in self.ROWS])
        )
        return path

    async def test_questions_whose_answer_is_empty_are_left_out(self, tmp_path: Path) -> None:
        tasks = {task.id: task for task in load_tasks("spider", self.folder(tmp_path / "spider_dev_intercode").parent)}
        assert sorted(tasks) == ["spider/dev/0", "spider/dev/3"]
        task = tasks["spider/dev/0"]
        assert task.prompt.startswith("CREATE TABLE pet( name TEXT, age INTEGER);\n\nQuestion: Names by age?\n")
        assert Path(str(task.context["database"])).is_absolute()
        assert task.metadata["hardness"] == "easy"
        assert different(task)
        assert await outcome(task, "```sql\nSELECT name FROM pet ORDER BY age;\n```") == "pass"
        assert await outcome(task, "SELECT name FROM pet ORDER BY age DESC") == "fail"

    async def test_the_verifier_wants_a_query_that_finds_something(self, tmp_path: Path) -> None:
        task = load_tasks("spider", self.folder(tmp_path))[0]
        assert await outcome(task, "SELECT age FROM pet", "verifier") == "pass"
        assert (await judged(task, "SELECT age FROM pet WHERE age > 90", "verifier")).reason == "empty_result"
        assert (await judged(task, "SELECT weight FROM pet", "verifier")).reason == "sql_error"

    @pytest.mark.parametrize("layout", ["database/pets/pets.sqlite", "pets.sqlite"])
    def test_other_places_of_the_databases(self, tmp_path: Path, layout: str) -> None:
        assert len(load_tasks("spider", self.folder(tmp_path, layout))) == 2

    def test_spiders_own_file(self, tmp_path: Path) -> None:
        self.folder(tmp_path, "database/pets/pets.sqlite")
        (tmp_path / "ic_spider_dev.json").unlink()
        rows = [{"db_id": row["db"], "query": row["gold"], "question": row["query"]} for row in self.ROWS]
        (tmp_path / "dev.json").write_text(json.dumps(rows))
        assert {str(task.reference) for task in load_tasks("spider", tmp_path)} == {self.ROWS[0]["gold"], self.ROWS[3]["gold"]}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"db": "../pets"}, "no name of a database"),
            ({"db": "cats"}, "the database cats is not in"),
            ({"gold": "SELECT weight FROM pet"}, "the gold query fails"),
            ({"gold": "DROP TABLE pet"}, "the gold query fails"),
            ({"query": None}, "'query' is missing"),
        ],
    )
    def test_a_malformed_entry_is_named(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        self.folder(tmp_path)
        (tmp_path / "ic_spider_dev.json").write_text(json.dumps([self.ROWS[0], {**self.ROWS[0], **change}]))
        with pytest.raises(ConfigError, match=rf"ic_spider_dev\.json, entry 1: .*{message}"):
            load_tasks("spider", tmp_path)

    def test_loading_leaves_the_folder_as_it_is(self, tmp_path: Path) -> None:
        self.folder(tmp_path)
        before = sorted(path for path in tmp_path.rglob("*"))
        load_tasks("spider", tmp_path)
        assert sorted(path for path in tmp_path.rglob("*")) == before


class TestHumanEval:
    ROW = {
        "task_id": "HumanEval/7",
        "prompt": 'import math\n\n\ndef double(x: int) -> int:\n    """Twice x."""\n',
        "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
        "test": "METADATA = {}\n\n\ndef check(candidate):\n    import math\n    base = 3\n    assert candidate(1) == 2\n"
        "    assert candidate(base) == 6\n    assert candidate(0) == 0, 'zero'\n    for i in range(3):\n"
        "        assert candidate(i) == 2 * i\n    assert True, 'nothing'\n",
    }

    def load(self, folder: Path, **change: str) -> Task:
        with gzip.open(folder / "HumanEval.jsonl.gz", "wt") as f:
            f.write(json.dumps({**self.ROW, **change}) + "\n")
        return load_tasks("humaneval", folder)[0]

    @staticmethod
    def passes(task: Task, body: str, by: str) -> bool:
        spec: dict[str, Any] = dict(getattr(task, by))
        try:
            exec(f"{spec['prelude']}\n\ndef double(x):\n    {body}\n\n{spec['tests']}", {})
        except AssertionError:
            return False
        return True

    def test_the_grader_runs_all_tests_and_the_verifier_a_third(self, tmp_path: Path) -> None:
        task = self.load(tmp_path)
        assert task.id == "humaneval/7"
        assert self.ROW["prompt"].strip() in task.prompt
        assert self.ROW["canonical_solution"].strip() not in task.prompt
        grader: dict[str, Any] = dict(task.grader)
        assert grader["tests"] == self.ROW["test"] + "\n\ncheck(double)\n"
        assert (grader["name"], grader["entry_point"], grader["timeout"]) == ("python_tests", "double", 10.0)
        # The first of four tests, and the fourth: the loop.
        for body, graded, verified in (
            ("return 2 * x", True, True),
            ("return 6 if x == 9 else 2 * x if x < 3 else 0", False, True),
            ("return 2 * x if x < 2 else 6", False, False),
            ("return 3", False, False),
        ):
            assert (self.passes(task, body, "grader"), self.passes(task, body, "verifier")) == (graded, verified)

    def test_with_a_single_test_there_is_no_verifier(self, tmp_path: Path) -> None:
        task = self.load(tmp_path, test="def check(candidate):\n    assert candidate(1) == 2\n    assert True\n")
        assert not self.passes(task, "return 3", "grader")
        assert task.verifier is None

    @pytest.mark.parametrize(
        "change", [{"test": "def check(:"}, {"test": "x = 1"}, {"entry_point": "a b"}, {"prompt": ""}, {"test": "\0"}]
    )
    def test_a_malformed_line_is_named(self, tmp_path: Path, change: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match=r"HumanEval\.jsonl\.gz:1"):
            self.load(tmp_path, **change)


class TestBbh:
    EXAMPLES = {
        "option": ("Which one?\nOptions:\n(A) this\n(B) that", "(B)"),
        "yes_no": ("Do you return?\nOptions:\n- Yes\n- No", "No"),
        "boolean": ("not ( True ) is", "False"),
        "validity": ("Is it?\nOptions:\n- valid \n- invalid", "invalid"),
        "number": ("((-1 + 2) * 5) =", "5"),
        "words": ("Sort the following words alphabetically: List: tent it&t barn", "barn it&t tent"),
        "brackets": ("Complete the rest of the sequence. Input: { [ (", ") ] }"),
    }

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name, kind in KINDS.items():
            question, target = self.EXAMPLES[kind]
            content = {"canary": "a canary GUID", "examples": [{"input": question, "target": target}]}
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    def test_the_tasks(self, folder: Path) -> None:
        tasks = load_tasks("bbh", folder)
        assert {task.id for task in tasks} == {f"bbh/{name}/0" for name in KINDS}
        assert len(tasks) == 27
        assert not any("canary" in json.dumps(task.to_json()) for task in tasks)
        assert all(different(task) for task in tasks)

    async def test_targets_pass_and_others_fail(self, folder: Path) -> None:
        for task in load_tasks("bbh", folder):
            target = str(task.reference)
            text = target if task.context["kind"] == "brackets" else f"So \\boxed{{{target}}}."
            for by in ("grader", "verifier"):
                assert await outcome(task, text, by) == "pass", task.id
            assert await outcome(task, wrong_answer(task)) == "fail", task.id

    @pytest.mark.parametrize(
        ("kind", "text", "answer"),
        [
            ("option", "Neither (A) nor (C), so (B).", "B"),
            ("option", "The answer is (B), since (A) is wrong.", "B"),
            ("option", "Answer: B", "B"),
            ("option", "**Answer:** b) that", "B"),
            ("option", r"\boxed{\text{(B)}}", "B"),
            ("option", r"(A)? \boxed{B}", "B"),
            ("option", "The answer is a banana.", None),
            ("option", "A or B", None),
            ("yes_no", "Yes, he might. But no.", "no"),
            ("yes_no", "The answer is No. Yes, really.", "no"),
            ("yes_no", "I know nothing", None),
            ("boolean", r"not True = False. \boxed{\text{False}}", "false"),
            ("validity", "It is deductively invalid.", "invalid"),
            ("validity", "valid", "valid"),
            ("number", "5 steps: the answer is **-1,250.0**.", "-1250"),
            ("number", r"2 + 3 = \boxed{5}", "5"),
            ("number", "2 + 3 = 5", "5"),
            ("number", "none", None),
            ("words", "Sorted:\nbarn, it&t, tent.", "barn it&t tent"),
            ("words", r"\boxed{\text{barn it\&t tent}}", "barn it&t tent"),
            ("words", "Answer: ['barn', 'it&t', 'tent']", "barn it&t tent"),
            ("brackets", "The answer is ) ] }", ")]}"),
            ("brackets", "`)]}`", ")]}"),
            ("brackets", "nothing", None),
            ("option", "", None),
            ("words", "", None),
        ],
    )
    def test_where_the_answer_is_read(self, kind: str, text: str, answer: str | None) -> None:
        assert final_answer(kind, text) == answer

    async def test_the_verifier_looks_at_the_form_alone(self, folder: Path) -> None:
        tasks = {str(task.context["kind"]): task for task in load_tasks("bbh", folder)}
        for kind, text, wanted in (
            ("option", r"\boxed{(A)}", "pass"),
            ("option", r"\boxed{(C)}", "fail"),
            ("words", r"\boxed{tent barn it&t}", "pass"),
            ("words", r"\boxed{barn tent}", "fail"),
            ("brackets", ") )", "pass"),
            ("brackets", "{ [ ( ) ] }", "fail"),
            ("number", r"\boxed{7}", "pass"),
            ("yes_no", r"\boxed{perhaps}", "fail"),
        ):
            assert await outcome(tasks[kind], text, "verifier") == wanted, (kind, text)

    def test_a_target_that_is_no_option_is_left_out(self, folder: Path) -> None:
        rows = [{"input": "Which?\nOptions:\n(A) Monsters\n(B) Inc", "target": t} for t in ("Monsters, Inc", "(B)", "(C)")]
        (folder / "snarks.json").write_text(json.dumps({"examples": rows}))
        assert [task.id for task in load_tasks("bbh", folder) if task.metadata["task"] == "snarks"] == ["bbh/snarks/1"]

    def test_a_malformed_example_is_named(self, folder: Path) -> None:
        (folder / "snarks.json").write_text('{"examples": [{"input": "q"}]}')
        with pytest.raises(ConfigError, match=r"snarks\.json, entry 0"):
            load_tasks("bbh", folder)


def wrong_answer(task: Task) -> str:
    """An answer of the right form to an example of BIG-Bench Hard that is not the target."""
    kind, target = task.context["kind"], str(task.reference)
    if kind == "option":
        return "\\boxed{(B)}" if target == "(A)" else "\\boxed{(A)}"
    if kind == "brackets":
        return target + " )"
    if kind == "number":
        return f"\\boxed{{{int(target) + 1}}}"
    if kind == "words":
        return "\\boxed{" + " ".join(reversed(target.split())) + "}"
    others = {"Yes": "No", "True": "False", "valid": "invalid"}
    both = {**others, **{b: a for a, b in others.items()}}
    return f"\\boxed{{{both[target if target in both else target.title()]}}}"


def solution(numbers: list[int]) -> str | None:
    """An expression that makes 24 out of the numbers, found by trying all."""
    for a, b, c, d in set(permutations(numbers)):
        for x in "+-*/":
            for y in "+-*/":
                for z in "+-*/":
                    for form in (
                        "(({}{}{}){}{}){}{}",
                        "({}{}{}){}({}{}{})",
                        "({}{}({}{}{})){}{}",
                        "{}{}(({}{}{}){}{})",
                        "{}{}({}{}({}{}{}))",
                    ):
                        text = form.format(a, x, b, y, c, z, d)
                        found = read_expression(text)
                        if found is not None and found.value == 24:
                            return text
    return None


def real(name: str, count: int) -> list[Task]:
    """All tasks of a set out of the real data."""
    tasks = load_tasks(name)
    assert len(tasks) == count == task_set(name).size
    assert len({task.id for task in tasks}) == count
    return tasks


@real_data
async def test_real_gsm8k() -> None:
    folder = data_folder(task_set("gsm8k"))
    assert folder is not None
    rows = [row.values for row in json_lines(folder / "test.jsonl")]
    verified: Counter[str] = Counter()
    for task in real("gsm8k", 1319):
        gold = rows[int(str(task.metadata["index"]))]["answer"]
        assert await outcome(task, gold) == "pass"
        assert await outcome(task, f"{gold} and 1") == ("pass" if task.reference == 1 else "fail")
        verified[await outcome(task, gold, "verifier")] += 1
    # Three gold solutions write an equation that is wrong.
    assert verified["fail"] == 3
    assert verified["pass"] == 1290


@real_data
async def test_real_spider() -> None:
    for task in real("spider", 931):
        for by in ("grader", "verifier"):
            assert await outcome(task, f"{task.reference};", by) == "pass", task.id
        assert await outcome(task, "SELECT 'no such thing', 12345") == "fail"


@real_data
@pytest.mark.skipif("python_tests" not in VERIFIERS, reason="no verifier runs Python tests")
async def test_real_humaneval() -> None:
    for task in real("humaneval", 164):
        prelude = str(make_verifier(task.grader).prelude)
        gold = f"```python\n{prelude}{task.reference}\n```"
        wrong = f"```python\ndef {task.metadata['entry_point']}(*args):\n    return 'wrong'\n```"
        for by in ("grader", "verifier") if task.verifier else ("grader",):
            assert await outcome(task, gold, by) == "pass", task.id
        assert await outcome(task, wrong) == "fail", task.id


@real_data
async def test_real_game24() -> None:
    for task in real("game24", 1362)[:200]:
        numbers = [int(str(number)) for number in task.context["numbers"]]
        gold = solution(numbers)
        assert gold is not None, task.id
        for by in ("grader", "verifier"):
            assert await outcome(task, f"{gold} = 24", by) == "pass", task.id
            assert await outcome(task, f"{gold} + 1 = 24", by) == "fail", task.id


@real_data
async def test_real_bbh() -> None:
    for task in real("bbh", 6508):
        target = str(task.reference)
        text = target if task.context["kind"] == "brackets" else f"So the answer is\n\\boxed{{{target}}}"
        for by in ("grader", "verifier"):
            assert await outcome(task, text, by) == "pass", task.id
        assert await outcome(task, wrong_answer(task)) == "fail", task.id
