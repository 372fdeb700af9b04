"""What a verifier is and takes, read off its class: fields, their types, defaults and docstrings."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..core.extensions import extension
from ..core.ids import Json, as_json
from ..core.target import is_target
from ..core.verdict import Verifier
from .registry import VERIFIERS, make_verifier, verifier_class


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a verifier."""

    name: str
    type: str
    """As the class declares it."""
    required: bool
    default: Json
    """None if it is required."""
    doc: str

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


@dataclass(frozen=True, kw_only=True)
class Description:
    """A verifier in words."""

    name: str
    summary: str
    """One line."""
    oracle: str
    """Whether it sees the reference answer: `yes`, `no`, `by default` where an argument decides, `if a part does`."""
    doc: str
    """What its class says of itself."""
    arguments: tuple[Argument, ...]

    def to_json(self) -> dict[str, Json]:
        """Plain form."""
        arguments = [a.to_json() for a in self.arguments]
        words = {"name": self.name, "summary": self.summary, "oracle": self.oracle, "doc": self.doc}
        return {**words, "arguments": arguments}


def describe(name: str) -> Description:
    """A built-in verifier or an extension's by its name, or one of one's own by its target (`file.py:attribute`).

    Raises:
        ConfigError: there is none.
    """
    if name in VERIFIERS:
        kind = verifier_class(name)
        return Description(
            name=name,
            summary=VERIFIERS[name],
            oracle=_oracle(kind),
            doc=inspect.getdoc(kind) or "",
            arguments=tuple(_arguments(kind)),
        )
    if (found := extension("verifier", name)) is not None:
        return describe_loaded(name, found.load())
    if not is_target(name):
        make_verifier(name)  # Says what is wrong with the name.
    made = make_verifier(name)
    doc = inspect.getdoc(type(made)) or ""
    return Description(
        name=made.name, summary=doc.partition("\n")[0], oracle="yes" if made.oracle else "no", doc=doc, arguments=()
    )


def describe_loaded(name: str, found: object) -> Description:
    """An extension's verifier: what can be read off its class, its instance, or its function; nothing of None."""
    kind = found if isinstance(found, type) or inspect.isroutine(found) else type(found)
    doc = "" if found is None else inspect.getdoc(kind) or ""
    fields = isinstance(kind, type) and dataclasses.is_dataclass(kind)
    return Description(
        name=name,
        summary=doc.partition("\n")[0],
        oracle=_oracle(kind) if isinstance(kind, type) and fields else "if it looks",
        doc=doc,
        arguments=tuple(_arguments(kind)) if isinstance(kind, type) and fields else (),
    )


def _oracle(kind: type[Any]) -> str:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if "oracle" in fields:
        return "by default" if fields["oracle"].default is True else "if it says so"
    value = inspect.getattr_static(kind, "oracle", None)
    return "yes" if value is True else "no" if value is False else "if a part does"


def _arguments(kind: type[Any]) -> Iterator[Argument]:
    docs = _docs(kind)
    for field in dataclasses.fields(kind):
        required = field.default is field.default_factory is dataclasses.MISSING
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        yield Argument(
            name=field.name,
            type=field.type if isinstance(field.type, str) else inspect.formatannotation(field.type),
            required=required,
            default=None if required else as_json(default),
            doc=docs.get(field.name) or _protocol_doc(field.name),
        )


def _docs(kind: type[Any]) -> dict[str, str]:
    """The docstrings that follow the fields in the source of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
            body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
            for field, after in pairwise(body):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (text := _text(after)):
                    found[field.target.id] = " ".join(inspect.cleandoc(text).split())
    return found


def _text(node: ast.stmt) -> str:
    value = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def _protocol_doc(name: str) -> str:
    return " ".join((inspect.getdoc(getattr(Verifier, name, None)) or "").split())
