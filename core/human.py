"""What a run asks of a person, and what the person says.

A question is an effect like any other: its place in the run is its key and the reply its recorded result. A run that gets
no reply ends as `waiting`, in no process; once the reply is stored the run is done again, and reads it from its record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args

from .errors import ConfigError
from .ids import Json, as_json

QuestionKind: TypeAlias = Literal["approve", "choose", "edit", "text"]
"""`approve`: yes or no, with a remark. `choose`: one of the options. `edit`: what it is about, as it should be. `text`: any
text."""

ASK = "ask"
"""Kind of the effect under which questions are recorded."""
_PAUSE = 0.02


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked."""

    text: str
    """The question itself."""
    kind: QuestionKind = "text"
    about: str = ""
    """What the question is about: the text to approve, to choose by, to edit. Empty for nothing."""
    options: tuple[str, ...] = ()
    """What can be chosen; only with `choose`."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ConfigError("the question is empty", hint="say what is to be decided")
        if self.kind not in get_args(QuestionKind):
            raise ConfigError(f"there is no kind of question {self.kind!r}", hint=f"one of {', '.join(get_args(QuestionKind))}")
        if (self.kind == "choose") != bool(self.options) or len(set(self.options)) != len(self.options):
            raise ConfigError("the options do not fit the question", hint="kind='choose' with options that differ; else none")

    def to_json(self) -> dict[str, Json]:
        """What is recorded of it."""
        return {"text": self.text, "kind": self.kind, "about": self.about, "options": list(self.options)}

    @staticmethod
    def from_json(value: object) -> Question:
        """Read what `to_json` wrote."""
        found = cast("Mapping[str, Any]", value)
        return Question(text=found["text"], kind=found["kind"], about=found["about"], options=tuple(found["options"]))

    def replied(self, said: Reply | bool | str, *, by: str = "") -> Reply:
        """What somebody said as a reply to this question: `True` or `False` approves or rejects, a text is the rest.

        Raises:
            ConfigError: it answers another kind of question, or is none of the options.
        """
        match said:
            case bool():
                reply = Reply(approved=said, by=by)
            case str():
                reply = Reply(text=said, by=by)
                if self.kind == "approve":
                    raise ConfigError("the question is to be approved or rejected", hint="say yes or no: True, or False")
            case Reply():
                reply = said
            case _:
                raise ConfigError(f"a {type(said).__name__} is no reply", hint="return a Reply, a bool or a text")
        if self.kind != "approve" and (isinstance(said, bool) or not reply.approved):
            raise ConfigError(f"the question asks for more than yes or no: {self._wanted()}", hint="reply with a text")
        if self.kind == "choose" and reply.text not in self.options:
            raise ConfigError(f"{reply.text!r} cannot be chosen", hint=self._wanted())
        return reply

    def _wanted(self) -> str:
        return f"one of {', '.join(self.options)}" if self.options else "a text"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a person said."""

    approved: bool = True
    """False only where what was to be approved was rejected."""
    text: str = ""
    """The option, the edited text, the text; with `approve` a remark. May be empty."""
    by: str = ""
    """Who said it; empty if that is not known."""

    def to_json(self) -> dict[str, Json]:
        """What is recorded of it."""
        return {"approved": self.approved, "text": self.text, "by": self.by}

    @staticmethod
    def from_json(value: object) -> Reply:
        """Read what `to_json` wrote."""
        return Reply(**cast("dict[str, Any]", as_json(value)))


Said: TypeAlias = Reply | bool | str | None
Asker: TypeAlias = Callable[[Question], Said | Awaitable[Said]]
"""Asks a person at once. None is no reply yet: the run waits. A plain function runs in a thread."""


async def asked(asker: Asker, question: Question) -> Reply | None:
    """What an asker brings."""
    import inspect

    said = await asker(question) if inspect.iscoroutinefunction(asker) else await asyncio.to_thread(asker, question)
    if inspect.isawaitable(said):
        said = await said
    return None if said is None else question.replied(cast("Reply | bool | str", said))


@dataclass
class Traffic:
    """The model calls of a run that are under way.

    A question without a reply ends the run, and what is in flight would have to be done again; so it waits for that first.
    """

    calls: int = 0
    _waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    def __enter__(self) -> None:
        self.calls += 1

    def __exit__(self, *_: object) -> None:
        self.calls -= 1
        if not self.calls:
            waiting, self._waiting = self._waiting, []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def over(self) -> None:
        """Wait until no call is under way, nor one that the last ones let begin."""
        while True:
            while self.calls:
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(done)
                await done
            await asyncio.sleep(_PAUSE)
            if not self.calls:
                return
