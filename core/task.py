"""One problem to solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigError
from .extract import extractor
from .ids import Json, json_hash
from .prompt import Message, Prompt

FIELDS = ("id", "prompt", "messages", "reference", "context", "verifier", "grader", "extract", "sampling", "metadata")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One problem: what is asked, and what is needed to judge an answer."""

    prompt: str
    """The question or instruction."""
    id: str = ""
    """Name, unique within a batch; empty for one derived from the content."""
    messages: tuple[Message, ...] = ()
    """Turns that come before the prompt: instructions, worked examples."""
    reference: Json = None
    """The right answer, for oracles and graders; None if unknown. No agent ever sees it."""
    context: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """What the problem is about: documents, path of a database, tests."""
    verifier: Json = None
    """Verifier to use where the graph names none: a name, or `{"name": ..., arguments}`; None for none."""
    grader: Json = None
    """Like `verifier`, but only measures: its verdict decides nothing during the run."""
    extract: str = ""
    """Name of the answer extractor (`core/extract.py`) where the graph names none; empty for `words`."""
    sampling: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Sampling settings of this task (`max_tokens`, `stop`, ...), over the graph's."""
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Anything else; stored, not interpreted."""

    _chats: dict[str, Prompt] = field(default_factory=dict[str, Prompt], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", json_hash(self.to_json())[:12])

    def chat(self, system: str = "") -> Prompt:
        """The task as a dialogue: system text if any, the earlier turns, the prompt."""
        prompt = self._chats.get(system)
        if prompt is None:  # All samples of a task share one.
            first = (Message("system", system),) if system else ()
            prompt = self._chats[system] = Prompt((*first, *self.messages, Message("user", self.prompt)))
        return prompt

    def to_json(self) -> dict[str, Json]:
        """The JSON Lines form, without fields left at their defaults."""
        out: dict[str, Json] = {"prompt": self.prompt}
        if self.id:
            out["id"] = self.id
        if self.messages:
            out["messages"] = [m.to_json() for m in self.messages]
        if self.reference is not None:
            out["reference"] = self.reference
        for name in ("context", "verifier", "grader", "extract", "sampling", "metadata"):
            value = getattr(self, name)
            if value not in (None, "", {}):
                out[name] = value
        return out

    @staticmethod
    def of(value: Task | str | Mapping[str, Any]) -> Task:
        """A task from a prompt, a JSON object, or a task."""
        if isinstance(value, Task):
            return value
        return Task(prompt=value) if isinstance(value, str) else Task.from_json(value)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Task:
        """Read the JSON Lines form.

        Raises:
            ConfigError: naming the field that is missing, unknown or of the wrong type.
        """
        unknown = value.keys() - set(FIELDS)
        if unknown:
            raise ConfigError(f"unknown field {', '.join(sorted(map(repr, unknown)))}", hint=f"fields: {', '.join(FIELDS)}")
        prompt = value.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise ConfigError("the field 'prompt' is missing or not a text", hint='{"prompt": "..."}')
        for name in ("context", "sampling", "metadata"):
            if not isinstance(value.get(name, {}), Mapping):
                raise ConfigError(f"the field '{name}' is not an object", hint=f'"{name}": {{...}}')
        for name in ("verifier", "grader"):
            if not isinstance(value.get(name), str | Mapping | None):
                raise ConfigError(f"the field '{name}' is neither a name nor an object", hint=f'"{name}": "exact"')
        messages, name = value.get("messages", []), value.get("id", "")
        if not isinstance(messages, list):
            raise ConfigError("the field 'messages' is not a list", hint='[{"role": "user", "content": "..."}]')
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise ConfigError("the field 'id' is not a text", hint='"id": "task-1"')
        return Task(
            prompt=prompt,
            id=str(name),
            messages=tuple(Message.from_json(_object(m)) for m in messages),  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            reference=value.get("reference"),
            context=dict(value.get("context", {})),
            verifier=value.get("verifier"),
            grader=value.get("grader"),
            extract=_extract(value.get("extract", "")),
            sampling=dict(value.get("sampling", {})),
            metadata=dict(value.get("metadata", {})),
        )


def _extract(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError("the field 'extract' is not a text", hint='"extract": "last_number"')
    if value:
        extractor(value)
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError("an entry of 'messages' is not an object", hint='{"role": "user", "content": "..."}')
    return value  # pyright: ignore[reportUnknownVariableType]
