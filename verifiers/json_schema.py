"""A JSON Schema that the answer's JSON satisfies. Validated after decoding, whatever the engine was asked to enforce."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.ids import canonical_json
from ..core.task import Task
from ..core.text import one_line
from ..core.verdict import Verdict
from . import json_worker
from .answers import of_json_worker
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_SILENT = {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples"}


@dataclass(frozen=True, kw_only=True)
class JsonSchema:
    """Passes a text whose JSON satisfies the schema. Runs in a worker: a schema's patterns may backtrack for ever."""

    name: ClassVar[str] = "json_schema"
    version: ClassVar[str] = "1"
    oracle: ClassVar[bool] = False

    schema: Mapping[str, Any] | str
    """The schema, or the path of a file that holds it."""
    whole: bool = False
    """Whether the whole text must be the JSON value; otherwise the first object or array in it is read."""
    timeout: float = 5.0
    """Seconds that one validation may take."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"json_schema: timeout is {self.timeout}", hint="seconds, above 0")
        _ = self._text

    @cached_property
    def _text(self) -> str:
        """The schema as JSON text, checked."""
        schema = _from_file(self.schema) if isinstance(self.schema, str) else self.schema
        if not set(schema) - _SILENT:
            raise ConfigError("json_schema: the schema is empty and would accept anything", hint='{"type": "object", ...}')
        validator(schema)
        return canonical_json(schema)

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        target, args = f"{json_worker.__name__}:validate", (self._text, candidate.text, self.whole)
        found = await shared_pool().call(target, args, seconds=self.timeout, memory_mb=1024)
        return of_json_worker(found)


def validator(schema: Mapping[str, Any]) -> Any:
    """A validator for the schema's dialect (2020-12 if it names none). References are never fetched.

    Raises:
        ConfigError: it is no JSON Schema, or refers to what it does not hold.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    kind: Any = validator_for(dict(schema), default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        canonical_json(schema)
    except SchemaError as e:
        raise ConfigError(f"json_schema: {one_line(e.message, 200)}", hint="give a JSON Schema") from None
    except (TypeError, ValueError, RecursionError) as e:
        raise ConfigError(f"json_schema: the schema is no JSON: {one_line(str(e), 200)}", hint="give a JSON Schema") from None
    return kind(schema, registry=REGISTRY)


def _from_file(path: str) -> Mapping[str, Any]:
    try:
        value = json.loads(Path(path).read_text())
    except OSError as e:
        raise ConfigError(f"json_schema: cannot read {path}: {e.strerror}", hint="give a schema, or a file with one") from None
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"json_schema: {path} holds no JSON: {one_line(str(e), 200)}", hint="give a JSON Schema") from None
    if not isinstance(value, Mapping):
        raise ConfigError(f"json_schema: {path} holds no object", hint="give a JSON Schema")
    return cast("Mapping[str, Any]", value)
