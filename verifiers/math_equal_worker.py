"""The worker's side of the `math_equal` verifier: two expressions, read and compared.

The text of a model is read by a grammar (latex2sympy) and never evaluated as Python. The comparing library's own reader of
plain expressions, which does that, is not used, and SymPy's evaluator, which turns even the digits of a number into code,
takes nothing but numbers while a text is read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy  # pyright: ignore[reportUnknownVariableType]
from math_verify import verify  # pyright: ignore[reportUnknownVariableType]
from math_verify.grader import should_treat_as_complex
from sympy.parsing import sympy_parser

from ..core.extract import last_boxed, number_key

logging.getLogger("math_verify").setLevel(logging.ERROR)  # It warns that nothing would stop it; the pool does.

_FORM = NormalizationConfig(basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none", equations=False)
_NUMBER = re.compile(r"(?:Integer|Float) ?\( ?'?[\d.]+'? ?\)", re.ASCII)
_POINTS: Any = (sympy.Rational(13, 7), sympy.Rational(-5, 11), sympy.Rational(31, 3))


def compare(answer: str, references: Sequence[str], decimals: int) -> str:
    """Whether the answer equals one of the references: `equal`, `different`, `undecided`, `unparsable`, `reference_error`."""
    ours = _read(answer)
    if ours is None:
        return "unparsable"
    theirs = [_read(last_boxed(reference) or reference) for reference in references]
    known = [one for one in theirs if one is not None]
    if any(verify(one, ours, float_rounding=decimals, timeout_seconds=None, raise_on_error=True) for one in known):
        return "equal"
    if len(known) < len(theirs):
        return "reference_error"
    return "different" if all(_differ(one, ours) for one in known) else "undecided"


@contextmanager
def only_numbers_evaluated() -> Generator[None]:
    """While this holds, SymPy evaluates no code but that of a number."""
    evaluate = cast("Any", sympy_parser).eval_expr

    def only_numbers(code: str, *names: Any) -> Any:
        if not _NUMBER.fullmatch(code):
            raise ValueError("only numbers are evaluated")
        return evaluate(code, *names)

    sympy_parser.eval_expr = only_numbers
    try:
        yield
    finally:
        sympy_parser.eval_expr = evaluate


def _read(text: str) -> Any:
    """An expression; None if it cannot be read."""
    latex = number_key(text) or text.strip().strip("$").replace("**", "^")
    try:
        real = not should_treat_as_complex(latex)
        with only_numbers_evaluated():
            found = cast("Any", latex2sympy)(latex, is_real=real, convert_degrees=False, normalization_config=_FORM)
    except MemoryError:
        raise
    except Exception:
        return None
    return None if isinstance(found, list) else found


def _differ(one: Any, other: Any) -> bool:
    """Whether values show the difference, where there are values.

    That the library found no equality may also mean that it gave up.
    """
    one, other = (x.rhs if isinstance(x, sympy.Eq) else x for x in (one, other))
    if not all(isinstance(x, sympy.Expr) for x in (one, other)):
        return True
    symbols: list[Any] = sorted(one.free_symbols | other.free_symbols, key=str)
    for shift in range(len(_POINTS) if symbols else 1):
        point: Any = {symbol: _POINTS[(shift + i) % len(_POINTS)] + i for i, symbol in enumerate(symbols)}
        values = [_value(expression.subs(point)) for expression in (one, other)]
        if values[0].is_finite is not values[1].is_finite:
            return True
        gap = _value(values[0] - values[1])
        if gap.is_number and gap.is_finite and abs(gap) > 1e-20:
            return True
    return False


def _value(expression: Any) -> Any:
    return cast("Any", sympy.N)(expression, 30)
