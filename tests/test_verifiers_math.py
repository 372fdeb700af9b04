"""Answers compared as mathematics: what is equal, what cannot be decided, and that nothing is evaluated as code."""

import time

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.extract import last_boxed
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import MathEqual, make_verifier


async def ask(answer, reference, *, boxed=True, task=None, **rest):
    text = f"So it is \\boxed{{{answer}}}." if boxed else answer
    return await judge(MathEqual(**rest), task or Task(prompt="p", reference=reference), Candidate.of(text))


@pytest.mark.parametrize(
    ("answer", "reference", "outcome"),
    [
        ("42", 42, "pass"),
        ("42.0", "42", "pass"),
        ("1e3", "1,000", "pass"),
        ("1/2", "0.5", "pass"),
        (r"\frac{1}{2}", 0.5, "pass"),
        ("0.333333", r"\frac{1}{3}", "pass"),
        ("0.33", r"\frac{1}{3}", "fail"),
        ("1 + x", "x+1", "pass"),
        ("(x+1)^2", "x^2+2x+1", "pass"),
        ("(x+1)**2", "x^2+2x+1", "pass"),
        ("(x+1)^2", "x^2+1", "fail"),
        (r"\sin^2 x + \cos^2 x", "1", "pass"),
        ("sqrt(8)", r"2\sqrt{2}", "pass"),
        (r"\sqrt{x^2}", "x", "fail"),
        (r"\frac{\sqrt{\frac{3}{4}}}{2}", r"\frac{\sqrt{3}}{4}", "pass"),
        (r"50\%", "0.5", "pass"),
        ("x = 5", "5", "pass"),
        ("x < 3", "3 > x", "pass"),
        ("x < 3", "x \\le 3", "fail"),
        (r"\{1, 2\}", r"\{2, 1\}", "pass"),
        ("(1, 2)", "(2, 1)", "fail"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "pass"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", "fail"),
        (r"\text{Tuesday}", "Tuesday", "pass"),
        ("Monday", "Tuesday", "fail"),
        (r"\frac{1}{0}", "5", "fail"),
        ("-1", "1", "fail"),
        ("2x", "x", "fail"),
        ("3", ["2", "3"], "pass"),
        ("4", ["2", "3"], "fail"),
        ("5", r"The answer is \boxed{5}", "pass"),
    ],
)
async def test_what_is_equal(answer, reference, outcome):
    found = await ask(answer, reference)
    assert found.outcome == outcome, found
    assert found.score == (outcome == "pass")


async def test_the_answer_is_read_strictly():
    for text in ("It is 5", "$5$", "5", r"\boxed{", r"\boxed 5", r"\boxed{5", r"\boxed{}", r"\boxed{ }"):
        found = await ask(text, "5", boxed=False)
        assert (found.outcome, found.reason) == ("fail", "no_answer"), text
        assert "\\boxed{}" in found.feedback
    assert (await ask(r"first \boxed{4}, no: \boxed{5}", "5", boxed=False)).outcome == "pass"
    assert (await ask("x^2 is 5", "5", boxed=False, extract="last_number")).outcome == "pass"
    assert (await ask("x+1", "1+x", boxed=False, extract="exact_text")).outcome == "pass"
    task = Task(prompt="p", reference="5", extract="last_number")
    assert (await ask("so 5", None, boxed=False, task=task)).outcome == "pass"
    assert (await ask("so 5", None, boxed=False, task=task, extract="boxed")).reason == "no_answer"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"\boxed{a}", "a"),
        (r"\boxed{\frac{\sqrt{2}}{\frac{1}{2}}} x", r"\frac{\sqrt{2}}{\frac{1}{2}}"),
        (r"\boxed{1} \boxed{2", "1"),
        (r"\boxed{1 + \boxed{2}}", "2"),
        (r"\boxed {3}", "3"),
        ("boxed{3}", None),
        ("\\boxed{" * 200_000, None),
        ("\\boxed{" + "{" * 1_000_000, None),
    ],
)
def test_last_boxed(text, inside):
    began = time.monotonic()
    assert last_boxed(text) == inside
    assert time.monotonic() - began < 10


async def test_a_cut_answer_counts_if_it_was_complete():
    task = Task(prompt="p", reference="5")
    whole, open_end = (Candidate(id="", position="", text=t, finish_reason="length") for t in (r"\boxed{5} or", r"\boxed{5"))
    for candidate, reason in ((whole, ""), (open_end, "no_answer")):
        assert (await judge(MathEqual(judges_truncated=True), task, candidate)).reason == reason
        assert (await judge(MathEqual(), task, candidate)).reason == "truncated"
    number = Candidate(id="", position="", text="it is 5", finish_reason="length")
    assert (await judge(MathEqual(judges_truncated=True, extract="last_number"), task, number)).reason == "no_answer"


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("9^{9^{9^{9}}}", "3"),
        ("10^{10^{10}}", "10^{10^{11}}"),
        ("99999999!", "5"),
        (r"\int_0^1 x^x dx", "0.5"),
        ("(" * 300 + "1" + ")" * 300, "2"),
    ],
)
async def test_what_takes_for_ever_abstains(answer, reference):
    began = time.monotonic()
    found = await ask(answer, reference, timeout=0.5)
    assert (found.outcome, found.score) == ("abstain", None)
    assert found.reason in ("timeout", "memory_limit", "undecided")
    assert time.monotonic() - began < 20
    assert (await ask("1/2", "0.5")).outcome == "pass"


async def test_what_cannot_be_read_abstains():
    for answer in (r"\frac{}{}", "+*/", "1 +", "\0", "\ud800", "{}" * 100, "x" * 2000):
        found = await ask(answer, "5")
        assert (found.outcome, found.score, found.reason) == ("abstain", None, "unparsable"), answer
    for reference in ("1 +", r"\frac{1}{"):
        found = await ask("5", reference)
        assert (found.outcome, found.score, found.reason) == ("abstain", None, "reference_error")
    undefined = await ask("5", r"\frac{1}{0}")
    assert (undefined.outcome, undefined.score) == ("abstain", None)
    assert (await ask("5", None)).reason == "no_reference"


CODE = [
    "__import__('os').system('{do}')",
    "open('{mark}', 'w')",
    "exec('{do}')",
    r"\text{{__import__('os').system('{do}')}}",
    r"\operatorname{{open}}('{mark}')",
    r"\mathrm{{eval}}(open('{mark}', 'w'))",
    "lambda: open('{mark}', 'w')",
    "x_{{open('{mark}','w')}}",
    "[c for c in ().__class__.__base__.__subclasses__()]",
    'f\'{{open("{mark}", "w")}}\'',
]


@pytest.mark.parametrize("code", CODE)
async def test_code_is_not_run(code, tmp_path):
    mark = tmp_path / "mark"
    answer = code.format(do=f"touch {mark}", mark=mark)
    for text in (answer, f"5 + {answer}"):
        found = await ask(text, "5")
        assert found.outcome != "pass"
        assert (await ask("5", text)).outcome != "pass"
    assert not mark.exists()


def test_only_numbers_are_evaluated_while_a_text_is_read(tmp_path):
    import sympy
    from sympy.parsing import sympy_parser

    from burnish.verifiers.math_equal_worker import compare, only_numbers_evaluated

    with only_numbers_evaluated(), pytest.raises(ValueError, match="only numbers are evaluated"):
        sympy.sympify(f"open('{tmp_path}/mark', 'w')")
    assert not (tmp_path / "mark").exists()
    assert sympy.sympify("x + 1") == sympy.Symbol("x") + 1
    answers = ["sqrt(2)", "x+y", "1/2", "2*3.5", r"\text{a}", "f(x)", "x_{12}", "a b c", "12345.678"]
    for answer in answers:
        assert compare(answer, [answer], 6) == "equal"
        assert compare(answer, ["17"], 6) == "different"
    assert sympy_parser.eval_expr.__name__ == "eval_expr"


async def test_the_reference_is_not_told():
    for answer in ("1", "x", "+*/", r"\frac{1}{0}"):
        found = await ask(answer, r"\frac{73519}{3}")
        assert found.outcome in ("fail", "abstain")
        assert "735" not in str(found)


def test_what_cannot_be_judged_is_refused(monkeypatch):
    MathEqual().check(Task(prompt="p", reference=["1", 2]))
    for reference, what in ((None, "has none"), ({"a": 1}, "no mathematics"), ([True], "no mathematics"), ([], "no mathematics")):
        with pytest.raises(ConfigError, match=what):
            MathEqual().check(Task(prompt="p", reference=reference))
    for config in ({"timeout": 0}, {"decimals": -1}, {"extract": "nope"}):
        with pytest.raises(ConfigError):
            MathEqual(**config)
    assert make_verifier("math_equal:last_number") == MathEqual(extract="last_number")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="math-verify"):
        MathEqual().check(Task(prompt="p", reference="1"))
