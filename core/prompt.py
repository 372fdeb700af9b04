"""What an engine is asked: messages or token ids, and perhaps the beginning of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from .errors import ConfigError
from .ids import Json

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class TextPart:
    """A piece of text within a message."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """An image within a message, by URL (a `data:` URL for inline bytes)."""

    url: str


Part: TypeAlias = TextPart | ImagePart


@dataclass(frozen=True)
class Message:
    """One turn of a dialogue."""

    role: Role
    content: str | tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text of all text parts, joined by line breaks."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(p.text for p in self.content if isinstance(p, TextPart))

    @property
    def has_image(self) -> bool:
        """Whether a part is an image."""
        return not isinstance(self.content, str) and any(isinstance(p, ImagePart) for p in self.content)

    def to_json(self) -> dict[str, Json]:
        """The message in the chat-completions form."""
        if isinstance(self.content, str):
            return {"role": self.role, "content": self.content}
        parts: list[Json] = [
            {"type": "text", "text": p.text} if isinstance(p, TextPart) else {"type": "image_url", "image_url": {"url": p.url}}
            for p in self.content
        ]
        return {"role": self.role, "content": parts}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Message:
        """Read the chat-completions form.

        Raises:
            ConfigError: an unknown role, or content that is neither text nor a list of parts.
        """
        role, content = value.get("role"), value.get("content")
        if role not in ("system", "user", "assistant", "tool"):
            raise ConfigError(f"a message has the role {role!r}", hint="use system, user, assistant or tool")
        if isinstance(content, str):
            return Message(role, content)
        if not isinstance(content, Sequence):
            raise ConfigError(
                f"the content of a {role} message is a {type(content).__name__}", hint="give text or a list of parts"
            )
        return Message(role, tuple(_part(p) for p in content))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _part(value: Any) -> Part:
    match value:
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return ImagePart(url)
        case _:
            raise ConfigError("a message part is neither text nor image_url", hint='{"type": "text", "text": "..."}')


@dataclass(frozen=True)
class Prompt:
    """What to continue. Exactly one of `messages` and `token_ids` is given.

    A prefix is the beginning of the assistant's turn, to be continued. As token ids it is exact; as text it is
    tokenised anew, which parts differently at the seam, so text prefixes are for servers that take nothing else.
    """

    messages: tuple[Message, ...] | None = None
    """The dialogue so far; rendered through the model's chat template."""
    token_ids: tuple[int, ...] | None = None
    """An already rendered prompt."""
    prefix_ids: tuple[int, ...] = ()
    """Tokens that the answer begins with."""
    prefix_text: str = ""
    """Text that the answer begins with, for engines without token-level access."""

    def __post_init__(self) -> None:
        if (self.messages is None) == (self.token_ids is None):
            raise ConfigError("a prompt needs either messages or token ids", hint="give exactly one of them")
        if self.prefix_ids and self.prefix_text:
            raise ConfigError("a prompt has two prefixes", hint="give prefix_ids or prefix_text, not both")

    @cached_property
    def _hash(self) -> int:
        return hash((self.messages, self.token_ids, self.prefix_ids, self.prefix_text))

    def __hash__(self) -> int:
        return self._hash  # All samples of a task share one prompt, which is looked up by its content for each.

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Names of the engine capabilities that this prompt asks for."""
        images = any(m.has_image for m in self.messages or ())
        return (*(("images",) if images else ()), *(("token_prefix",) if self.prefix_ids else ()))

    @cached_property
    def size(self) -> int:
        """About how many bytes it holds."""
        texts = sum(len(m.text) for m in self.messages or ())
        return texts + len(self.prefix_text) + 8 * (len(self.token_ids or ()) + len(self.prefix_ids))

    @staticmethod
    def of(prompt: Prompt | str | Sequence[Message]) -> Prompt:
        """A prompt from a user's text, a dialogue, or a prompt."""
        if isinstance(prompt, Prompt):
            return prompt
        if isinstance(prompt, str):
            return Prompt((Message("user", prompt),))
        return Prompt(tuple(prompt))

    def to_json(self) -> dict[str, Json]:
        """The canonical form, which is hashed and stored."""
        out: dict[str, Json] = {}
        if self.messages is not None:
            out["messages"] = [m.to_json() for m in self.messages]
        if self.token_ids is not None:
            out["token_ids"] = list(self.token_ids)
        if self.prefix_ids:
            out["prefix_ids"] = list(self.prefix_ids)
        if self.prefix_text:
            out["prefix_text"] = self.prefix_text
        return out
