"""Exact values of arithmetic that a model wrote. The text is parsed and walked, never evaluated as code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 200
"""Characters beyond which an expression is not read: deep nesting and huge numbers stay out."""

_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True)
class Expression:
    """An expression with what it is made of."""

    value: Fraction
    numbers: tuple[Fraction, ...]
    """The numbers written in it, from left to right."""
    whole: bool
    """Whether all of them are written without a decimal point."""


def read_expression(text: str) -> Expression | None:
    """Numbers, `+ - * /` and brackets, with their exact value; None for anything else, division by zero included."""
    text = text.translate(_SIGNS).strip()
    if not text or len(text) > LONGEST or not set(text) <= set("0123456789.+-*/() "):
        return None
    try:
        tree = ast.parse(text, mode="eval")
        value = _value(tree.body, text)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    written = [n for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    written.sort(key=lambda n: n.col_offset)
    numbers = tuple(_number(n, text) for n in written)
    return Expression(value, numbers, all(isinstance(n.value, int) for n in written))


def _value(node: ast.expr, text: str) -> Fraction:
    match node:
        case ast.Constant():
            return _number(node, text)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left, text), _value(right, text))
        case _:
            raise ValueError("not arithmetic")


def _number(node: ast.Constant, text: str) -> Fraction:
    # From the text, not from the node: 0.1 is a tenth here.
    return Fraction(text[node.col_offset : node.end_col_offset])
