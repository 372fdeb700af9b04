"""A pydantic model that the answer's JSON satisfies: the model's own validators included, their messages as feedback."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.candidate import Candidate
from ..core.errors import ConfigError
from ..core.ids import json_hash
from ..core.target import absolute, load_target
from ..core.task import Task
from ..core.verdict import Verdict
from .answers import of_json_worker
from .python_function import source_version
from .refs import ref_of
from .worker import shared_pool

if TYPE_CHECKING:
    from ..core.context import Context

_WORKER = f"{__package__}.pydantic_worker:validate"


@dataclass(frozen=True, kw_only=True)
class PydanticModel:
    """Passes a text whose JSON the model validates. Runs in a worker: validators are code, and patterns may backtrack.

    The model may be anything that pydantic validates: a `BaseModel`, a dataclass, a `TypedDict`, `list[Person]`.
    """

    name: ClassVar[str] = "pydantic_model"
    oracle: ClassVar[bool] = False

    model: str | type
    """`module:Model`, `path/to/file.py:Model`, or the model itself, if it stands at the top of a module."""
    whole: bool = False
    """Whether the whole text must be the JSON value; otherwise the first object or array in it is read."""
    timeout: float = 5.0
    """Seconds that one validation may take."""
    judges_truncated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.timeout < 3600:
            raise ConfigError(f"pydantic_model: timeout is {self.timeout}", hint="seconds, above 0")
        _ = self.version

    @cached_property
    def version(self) -> str:
        """Changes with the model's source, and with its schema where that can be told."""
        from .pydantic_worker import adapter

        model: Any = load_target(self._ref, what="model")
        validator = adapter(model, self._ref)
        try:
            schema = json_hash(validator.json_schema())[:8]
        except Exception:
            schema = "unknown"
        return f"{source_version(model)} {schema}" if inspect.isclass(model) else schema

    @cached_property
    def _ref(self) -> str:
        if isinstance(self.model, str):
            return absolute(self.model)
        try:
            return ref_of(self.model)
        except ConfigError as e:
            hint = "put the model at the top of a module, or name it `module:Model`"
            raise ConfigError(f"pydantic_model: a worker process cannot find {self.model.__name__}", hint=hint) from e

    async def verify(self, task: Task, candidate: Candidate, ctx: Context | None = None) -> Verdict:
        args = (self._ref, candidate.text, self.whole)
        found = await shared_pool().call(_WORKER, args, seconds=self.timeout, memory_mb=1024, load=[self._ref])
        return of_json_worker(found)
