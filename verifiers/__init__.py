"""Judges of candidates. Names are imported when they are first used, so that worker processes start quickly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answer_match import AnswerMatch
    from .combine import AllOf, FirstOf
    from .constraints import Constraints
    from .ensemble import MeanOf, MinOf, Vote
    from .exact import Exact
    from .json_schema import JsonSchema
    from .math_equal import MathEqual
    from .numeric import Numeric
    from .pydantic_model import PydanticModel
    from .python_function import PythonFunction
    from .python_tests import PythonTests
    from .regex import Regex
    from .registry import VERIFIERS, check_task, make_verifier
    from .sql_execution import SqlExecution
    from .sqlite_query import SqliteQuery
    from .supported import Supported
    from .wrappers import Noisy, Sparse

_HOMES = {
    "VERIFIERS": "registry",
    "AllOf": "combine",
    "AnswerMatch": "answer_match",
    "Constraints": "constraints",
    "Exact": "exact",
    "FirstOf": "combine",
    "JsonSchema": "json_schema",
    "MathEqual": "math_equal",
    "MeanOf": "ensemble",
    "MinOf": "ensemble",
    "Noisy": "wrappers",
    "Numeric": "numeric",
    "PydanticModel": "pydantic_model",
    "PythonFunction": "python_function",
    "PythonTests": "python_tests",
    "Regex": "regex",
    "Sparse": "wrappers",
    "SqlExecution": "sql_execution",
    "SqliteQuery": "sqlite_query",
    "Supported": "supported",
    "Vote": "ensemble",
    "check_task": "registry",
    "make_verifier": "registry",
}

__all__ = [
    "VERIFIERS",
    "AllOf",
    "AnswerMatch",
    "Constraints",
    "Exact",
    "FirstOf",
    "JsonSchema",
    "MathEqual",
    "MeanOf",
    "MinOf",
    "Noisy",
    "Numeric",
    "PydanticModel",
    "PythonFunction",
    "PythonTests",
    "Regex",
    "Sparse",
    "SqlExecution",
    "SqliteQuery",
    "Supported",
    "Vote",
    "check_task",
    "make_verifier",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
