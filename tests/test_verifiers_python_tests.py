"""Model-written Python as answers: found in the text, run against tests, told what is wrong."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.task import Task
from burnish.core.verdict import Verifier
from burnish.core.verify import judge
from burnish.verifiers import python_tests, worker
from burnish.verifiers.python_tests import PythonTests, find_code
from burnish.verifiers.sandbox.isolation import Layers
from burnish.verifiers.sandbox.layers import layers

TASK = Task(prompt="write it")
ADD = "def add(a, b):\n    return a + b\n"
needs_walls = pytest.mark.skipif(not layers().strong, reason="this machine cannot confine code")


async def verdict(text, tests, **rest):
    return await judge(PythonTests(tests=tests, **rest), TASK, Candidate.of(text))


def fenced(code, language="python"):
    return f"Here it is:\n```{language}\n{code.rstrip()}\n```\nHope that helps."


def test_it_is_a_verifier():
    verifier = PythonTests(tests="assert f(1)")
    assert isinstance(verifier, Verifier)
    assert (verifier.name, verifier.version, verifier.oracle, verifier.judges_truncated) == ("python_tests", "1", False, False)
    assert hash(verifier) == hash(PythonTests(tests="assert f(1)"))


@pytest.mark.parametrize(
    ("text", "entry", "code"),
    [
        (ADD, None, ADD.rstrip()),
        ("    return a + b\n", None, "    return a + b"),
        ("\n\n    return a\n    # end\n\n", None, "    return a\n    # end"),
        (fenced(ADD), None, ADD.rstrip()),
        (fenced(ADD, ""), None, ADD.rstrip()),
        (fenced(ADD, "Python"), None, ADD.rstrip()),
        (fenced(ADD, "py title=x"), None, ADD.rstrip()),
        ("```bash\npip install x\n```\n" + fenced(ADD), None, ADD.rstrip()),
        ("```python\nprint(add(1, 2))\n```\n" + fenced(ADD), "add", ADD.rstrip()),
        ("```python\nprint(add(1, 2))\n```\n" + fenced(ADD), None, "print(add(1, 2))"),
        ("```\nadd = lambda a, b: a + b\n```", "add", "add = lambda a, b: a + b"),
        ("```python\nclass addition: pass\n```\n```python\nasync def add(): pass\n```", "add", "async def add(): pass"),
        ("```python\ndef f():\n    return 1", None, "def f():\n    return 1"),
        ("```python\r\nx = 1\r\n```", None, "x = 1"),
        ("- so:\n  ```python\n  if x:\n    y = 1\n  ```", None, "if x:\n  y = 1"),
        ("```python\n    return 1\n```", None, "    return 1"),
        ("```bash\nls\n```", None, None),
        ("```python\n\n```", None, None),
        ("  \n", None, None),
    ],
)
def test_code_is_found_in_an_answer(text, entry, code):
    assert find_code(text, entry) == code


def test_finding_code_does_not_take_long_on_hostile_text():
    for text in ("```" * 50_000, "```\n" * 50_000, "`" * 200_000, "```python\n" + " \n" * 100_000, " " * 200_000 + "x"):
        find_code(text, "f")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"tests": ""}, "test nothing"),
        ({"tests": "pass"}, "test nothing"),
        ({"tests": "assert f(1"}, "line 1"),
        ({"tests": "x = '\0'"}, "no Python"),
        ({"tests": "assert f()", "timeout": 0}, "timeout"),
        ({"tests": "assert f()", "timeout": float("nan")}, "timeout"),
        ({"tests": "assert f()", "memory_mb": 1}, "memory_mb"),
        ({"tests": "assert f()", "require": "none"}, "require"),
        ({"tests": "assert f()", "entry_point": "f()"}, "entry_point"),
        ({"tests": "assert f()", "entry_point": "def"}, "entry_point"),
    ],
)
def test_wrong_arguments(arguments, what):
    with pytest.raises(ConfigError, match=what) as caught:
        PythonTests(**arguments)
    assert caught.value.hint


async def test_without_layers_it_refuses_and_never_runs(monkeypatch):
    monkeypatch.setattr("burnish.verifiers.sandbox.layers.layers", lambda: Layers())
    monkeypatch.setattr(python_tests, "shared_pool", lambda: pytest.fail("it ran"))
    with pytest.raises(ConfigError, match="cannot be run safely"):
        PythonTests(tests="assert f()").check(TASK)
    found = await verdict("def f(): return 1", "assert f()")
    assert (found.outcome, found.reason) == ("abstain", "weak_sandbox")


async def test_weak_runs_are_asked_for_and_told():
    found = await verdict(ADD, "assert add(1, 2) == 3", require="weak")
    assert found.outcome == "pass"
    assert found.evidence["layers"] == layers().names


async def test_a_sandbox_that_fails_is_an_abstention(monkeypatch):
    async def broken(*_, **__):
        return {"unable": "no room\x1b[31m"}

    monkeypatch.setattr(worker.WorkerPool, "call", broken)
    found = await verdict(ADD, "assert add(1, 2) == 3", require="weak")
    assert (found.outcome, found.reason) == ("abstain", "sandbox_failed")
    assert "\x1b" not in str(found)


JUDGED = {
    # name: (code, tests, reason or "" for a pass, what the feedback says)
    "right": (ADD, "assert add(1, 2) == 3", "", ""),
    "wrong": (ADD, "assert add(1, 1) == 2\nassert add(1, 2) == 4", "test_failed", "assert add(1, 2) == 4; add(1, 2) returned 3"),
    "with a message": (ADD, "assert add(1, 2) == 4, 'sum'", "test_failed", "; sum; add(1, 2) returned 3"),
    "a statement over lines": (ADD, "assert add(\n  1, 2\n) == 4", "test_failed", "assert add( 1, 2 ) == 4"),
    "an error": (
        "def f(x):\n\n    return 1 / x\n",
        "f(0)",
        "exception",
        "ZeroDivisionError: division by zero (line 3: return 1 / x), in f(0)",
    ),
    "an error at the top": ("import nothing_of_the_kind", "f(0)", "exception", "line 1: import nothing_of_the_kind"),
    "no Python": ("def f(:\n", "f(0)", "syntax_error", "SyntaxError: invalid syntax (line 1: def f(:)"),
    "bad indentation": ("def f():\nreturn 1\n", "f()", "syntax_error", "line 2"),
    "NUL": ("x = '\0'", "x", "syntax_error", "null"),
    "wrong type": ("def f(x): return None", "assert f(0) < 1", "test_failed", "TypeError"),
    "missing": ("def g(x): return 1", "assert f(0) == 1", "test_failed", "NameError: name 'f' is not defined"),
    "too many arguments": (ADD, "add(1, 2, 3)", "exception", "takes 2 positional arguments but 3 were given"),
    "endless": ("def f():\n  while True: pass", "f()", "timeout", "no result within 1 s, in f()"),
    "memory": ("def f(): return bytearray(10**10)", "f()", "memory", "memory"),
    "printing": ("def f():\n  while True: print('x' * 10000)", "f()", "output_limit", "1024 kB"),
    "exit": ("import os\ndef f(): os._exit(3)", "f()", "killed", "status 3"),
    "signal": ("import ctypes\ndef f(): ctypes.string_at(0)", "f()", "killed", "SIGSEGV"),
    "escapes": ("def f(): raise ValueError('\\x1b[31m\\u202e')", "f()", "exception", "\\x1b[31m\\u202e"),
    "in place": ("def f(x): x.sort()", "x = [2, 1]\nf(x)\nassert x == [1, 2]", "", ""),
    "in place, deep": (
        "def f(x, *, y): x[0][0] = y['a'].pop()",
        "x, y = [[1]], {'a': [5]}\nf(x, y=y)\nassert (x, y) == ([[5]], {'a': []})",
        "",
        "",
    ),
    "callbacks": ("def f(g, n): return [g(i) for i in range(n)]", "assert f(lambda i: i * i, 4) == [0, 1, 4, 9]", "", ""),
    "an error in a callback": (
        "def f(g):\n  try: g(1)\n  except ValueError as e: return str(e)",
        "def g(x): raise ValueError('no')\nassert f(g) == 'no'",
        "",
        "",
    ),
    "iterators in": ("def f(x): return sum(x)", "assert f(iter([1, 2])) == 3\nassert f(i for i in range(3)) == 3", "", ""),
    "generators out": (
        "def f():\n  yield from 'ab'",
        "assert list(f()) == ['a', 'b']\ng = f()\nassert next(g) == 'a' and next(g) == 'b'",
        "",
        "",
    ),
    "the end of an iterator": (
        "def f(): return iter([])",
        "try: next(f())\nexcept StopIteration: pass\nelse: assert False\nassert next(f(), 7) == 7",
        "",
        "",
    ),
    "exceptions": (
        "class E(KeyError): pass\nclass F(E):\n  def __init__(self, a, b): super().__init__(a)\n"
        "def f(x): raise {1: E('a'), 2: F('a', 2), 3: OSError(2, 'no')}[x]",
        "for i in (1, 2):\n  try: f(i)\n  except E as e: assert e.args == ('a',) and isinstance(e, KeyError)\n"
        "try: f(3)\nexcept OSError as e: assert e.errno == 2\nelse: assert False",
        "",
        "",
    ),
    "classes": (
        "class P:\n  n = 1\n  def __init__(s, x): s.x = x\n  def __eq__(s, o): return s.x == o.x\n"
        "  def __add__(s, o): return P(s.x + o.x)\n"
        "  def __getitem__(s, i): return s.x\n  def __len__(s): return s.x\n"
        "  def __enter__(s): return s\n  def __exit__(s, *a): s.x = 9\n"
        "  def __repr__(s): return f'P({s.x})'",
        "p = P(1)\nassert p == P(1) and p != P(2) and (p + P(2)).x == 3 and p[0] == 1 and len(p) == 1 and isinstance(p, P)\n"
        "assert repr(p) == 'P(1)' and P.n == 1\np.x = 5\nassert p.x == 5\nwith p as q: assert q == p\nassert p.x == 9",
        "",
        "",
    ),
    "derived plain types": (
        "from collections import Counter, namedtuple\nfrom enum import IntEnum\n"
        "P = namedtuple('P', 'x y')\nclass C(IntEnum): RED = 1\n"
        "class L(list):\n  def first(s): return s[0]\ndef f(): return P(1, 2), Counter('aab'), C.RED, L([1])",
        "p, c, e, l = f()\n"
        "assert p == (1, 2) and p.y == 2 and c == {'a': 2, 'b': 1} and e == 1 and l == [1]"
        " and l.first() == 1 and e + 1 == 2",
        "",
        "",
    ),
    "objects of the tests": (
        "def depth(n):\n  if n is None: return 0\n  n.seen = True\n"
        "  return 1 + max(depth(n.left), depth(n.right))\ndef same(n): return n",
        "class Node:\n  def __init__(s, left=None, right=None): s.left, s.right = left, right\n"
        "n = Node(Node(None, Node()))\nassert depth(n) == 3 and n.seen and same(n) is n",
        "",
        "",
    ),
    "what the tests keep to themselves": (
        "def f(g):\n  out = []\n  for n in ('__globals__', '__code__', '__closure__', 'gi_frame'):\n"
        "    try: out.append(getattr(g, n))\n    except AttributeError: out.append(None)\n  return out",
        "assert f(lambda: 1) == [None] * 4",
        "",
        "",
    ),
    "dataclasses and modules": (
        "import math\nfrom dataclasses import dataclass\n@dataclass\nclass D:\n  x: int\ndef f(): return D(1)",
        "assert f() == D(1) and f().x == 1 and math.floor(1.5) == 1",
        "",
        "",
    ),
    "constants": ("LIMIT = 5", "assert LIMIT == 5", "", ""),
    "nothing is tested": (ADD, "def test_add(): assert add(1, 2) == 4", "no_calls", "do not use the code"),
    "main": ("def f(): return __name__\nif __name__ == '__main__': input()", "assert f() == 'solution'", "", ""),
    "asyncio": ("import asyncio\nasync def g(): return 3\ndef f(): return asyncio.run(g())", "assert f() == 3", "", ""),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor as T\ndef f():\n  with T(2) as t: return list(t.map(abs, [-1]))",
        "assert f() == [1]",
        "",
        "",
    ),
    "files": ("def f():\n  open('a', 'w').write('x')", "f()\nassert open('a').read() == 'x'", "", ""),
}


@needs_walls
@pytest.mark.parametrize("name", JUDGED)
async def test_what_is_said_of_code(name):
    code, tests, reason, says = JUDGED[name]
    found = await verdict(fenced(code), tests, timeout=1.0 if reason == "timeout" else 20.0)
    assert (found.outcome, found.reason) == ("abstain" if reason == "no_calls" else "fail" if reason else "pass", reason), found
    assert says in found.feedback
    assert len(found.feedback) < 700
    assert all(c.isprintable() for c in found.feedback)
    assert found.score == {"pass": 1.0, "fail": 0.0, "abstain": None}[found.outcome]
    assert "seccomp" in found.evidence["layers"]


STUB = 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef area(r: float) -> float:\n    """The area of half a circle."""\n'
CHECK = "METADATA = {}\n\n\ndef check(candidate):\n    assert abs(candidate(2.0) - half(math.pi * 4)) < 1e-6\n"


@needs_walls
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("    return half(math.pi * r * r)\n", ""),
        ("def area(r):\n    return half(math.pi * r ** 2)\n", ""),
        (fenced("import math\n" + STUB.partition("math")[2] + "    return half(math.pi * r * r)\n"), ""),
        ("    return 3.14 * r\n", "test_failed"),
        ("    return 1 / 0\n", "exception"),
        ("  return 1\n\nother", "syntax_error"),
        # What the prelude defines is the prelude's, whatever the code makes of it.
        ("    return 0.0\n\ndef half(x): return 0.0\n", "test_failed"),
    ],
)
async def test_a_prelude_and_an_entry_point_as_in_humaneval(code, reason):
    found = await verdict(code, CHECK, prelude=STUB, entry_point="area")
    assert (found.outcome, found.reason) == ("fail" if reason else "pass", reason), found
    if reason == "exception":
        assert "line 1: return 1 / 0" in found.feedback


@needs_walls
async def test_an_entry_point_must_be_there():
    found = await verdict("def b(): return 1", "assert a() == 1", entry_point="a")
    assert (found.outcome, found.reason, found.feedback) == ("fail", "no_code", "the code defines no a")
    found = await verdict("```bash\nls\n```", "assert a() == 1", entry_point="a")
    assert (found.outcome, found.reason) == ("fail", "no_code")


@needs_walls
async def test_an_entry_point_may_have_the_name_of_a_built_in():
    assert (await verdict("def sum(a, b): return a + b", "assert sum(1, 2) == 3", entry_point="sum")).outcome == "pass"


@needs_walls
async def test_tests_that_stand_for_the_reference_are_not_quoted():
    for code, says in (("def f(): return 1", "a test failed"), ("def f(): return 1 / 0", "ZeroDivisionError: division by zero")):
        found = await verdict(code, "assert f() == 'the answer', 'it is the answer'", oracle=True)
        assert found.outcome == "fail"
        assert says in found.feedback
        assert "answer" not in f"{found.feedback} {found.evidence}"


@needs_walls
async def test_cut_answers_are_an_abstention():
    candidate = Candidate(id="", position="", text=ADD, finish_reason="length")
    assert (await judge(PythonTests(tests="assert add(1, 2) == 3"), TASK, candidate)).reason == "truncated"


@needs_walls
async def test_many_at_once():
    wanted = [i % 3 == 0 for i in range(12)]
    found = await asyncio.gather(*(verdict(f"def f(): return {i % 3}", "assert f() == 0", timeout=30.0) for i in range(12)))
    assert [v.outcome == "pass" for v in found] == wanted


@needs_walls
async def test_a_cancelled_verdict_frees_its_worker():
    task = asyncio.create_task(verdict("def f():\n  while True: pass", "f()", timeout=60.0))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await verdict(ADD, "assert add(1, 2) == 3")).outcome == "pass"


@needs_walls
async def test_what_it_prints_is_evidence_without_control_characters():
    found = await verdict("def f():\n  print('\\x1b[31mred'); return 1", "assert f() == 1")
    assert found.evidence["output"] == "\\x1b[31mred"


@needs_walls
def test_the_example_of_the_document_prints_what_it_says():
    text = (Path(__file__).parent.parent / "docs" / "sandbox.md").read_text()
    program = text.partition("```python\n")[2].partition("```")[0]
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert f"prints `{out.stdout.strip()}`" in text
