"""Secrets, taken out of what is stored: configuration and error messages, never what models read and write.

Three rules, each narrow. In configuration a text under the name of a secret (`api_key`, `Authorization`, `password`) is one.
Everywhere a text of a well-known form is one: keys of known services, bearer tokens, the password within a URL, a private key.
And everywhere the value of an environment variable whose name says that it is secret is one, wherever it turns up. A
project may add patterns. What is taken out is gone: a run that cannot do without it has to be given it again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import cast

from .errors import ConfigError
from .ids import Json

WITHHELD = "[redacted]"
"""Stands where a secret was."""
_SHORTEST = 8
"""Characters of an environment variable's value that may be a secret; shorter ones would hit by chance."""
_CONTENT = ("prompt", "messages", "reference", "context", "metadata")
"""Fields of a task that are its content."""
_NAMES = (
    r"(?i)(?:^|[_\-.])(?:api[_-]?key|secret(?:[_-]?key)?|private[_-]?key|password|passwd|authorization|proxy-authorization|credentials?"
    r"|cookie|(?:access|auth|api|bearer|refresh|session|hf|id)[_-]?token)$|^token$"
)
"""Names of what is a secret. Patterns are texts here: they are compiled when the first one is needed."""
_VARIABLES = r"(?i)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$"
_FORMS = (
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\bhf_[A-Za-z0-9]{20,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bAIza[0-9A-Za-z_-]{30,}",
    r"\bpypi-[A-Za-z0-9_-]{20,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)",
    r"(?i:(?<=\bbearer )|(?<=\bbasic ))[A-Za-z0-9._~+/=-]{8,}",
)
_SAID = (
    r"(?i)\b((?:x-)?(?:api[_-]?key|secret(?:[_-]?key)?|password|passwd|authorization|access[_-]?token|auth[_-]?token|token)"
    r"[\"']?\s*[:=]\s*[\"']?)(?!\[redacted\]|none\b|null\b|bearer\b|basic\b)([^\s\"',;&)}\]]{4,})"
)
"""Within prose: the name of a secret, then its value."""
_added: list[str] = []


def also(patterns: Iterable[str]) -> None:
    """Take out what these regular expressions match as well, in this process from now on.

    Raises:
        ConfigError: one is no regular expression, or matches nothing at all.
    """
    for pattern in patterns:
        try:
            empty = re.compile(pattern).match("")
        except re.error as e:
            raise ConfigError(
                f"redact: {pattern!r} is no regular expression: {e}", hint=r'as in redact = ["acme-[0-9a-f]{32}"]'
            ) from None
        if empty:
            raise ConfigError(f"redact: {pattern!r} matches the empty text", hint="say what a secret looks like")
        if pattern not in _added:
            _added.append(pattern)


def redact_text(text: str) -> str:
    """A message without secrets."""
    return re.sub(_SAID, rf"\1{WITHHELD}", _known().sub(WITHHELD, text)) if text else text


def redact_said(value: Json) -> Json:
    """Messages within a JSON value without secrets."""
    return _walked(value, redact_text, lambda name, inner: redact_said(inner))


def redact(value: Json) -> Json:
    """Configuration without secrets; what holds none is returned as it is. The content of tasks is left alone."""
    return _redact(value, _known())


@lru_cache(maxsize=256)
def _redacted_json(text: str, pattern: re.Pattern[str]) -> str:
    value = json.loads(text)
    made = _redact(value, pattern)
    return text if made is value else json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def redact_json(text: str) -> str:
    """Configuration in its JSON form without secrets. The runs of a batch share theirs, so the newest are kept at hand."""
    return _redacted_json(text, _known())


def is_withheld(value: Json) -> bool:
    """Whether something was taken out of a configuration."""
    match value:
        case str():
            return WITHHELD in value
        case Mapping():
            named = cast("Mapping[str, Json]", value)
            return any(is_withheld(inner) for name, inner in named.items() if name not in _CONTENT)
        case Sequence():
            return any(is_withheld(item) for item in value)
        case _:
            return False


def _redact(value: Json, pattern: re.Pattern[str]) -> Json:
    def field(name: str, inner: Json) -> Json:
        if name in _CONTENT:
            return inner
        if isinstance(inner, str) and inner and re.search(_NAMES, name):
            return WITHHELD if inner != WITHHELD else inner
        return _redact(inner, pattern)

    return _walked(value, lambda text: pattern.sub(WITHHELD, text), field)


def _walked(value: Json, text: Callable[[str], str], field: Callable[[str, Json], Json]) -> Json:
    """A value with other texts; itself if none changed. `field` makes what stands under a name."""
    match value:
        case str():
            made = text(value)
            return value if made == value else made
        case Mapping():
            named = cast("Mapping[str, Json]", value)
            fields = {name: field(name, inner) for name, inner in named.items()}
            return value if all(fields[name] is named[name] for name in named) else fields
        case Sequence():
            listed = list(value)
            items = [_walked(item, text, field) for item in listed]
            return value if all(a is b for a, b in zip(items, listed, strict=True)) else items
        case _:
            return value


def _known() -> re.Pattern[str]:
    """What is a secret now, in one pattern."""
    found = (os.environ.get(name, "") for name in _secret_names(tuple(os.environ)))
    secret = {value for value in found if len(value) >= _SHORTEST}
    return _pattern(tuple(sorted(secret, key=lambda value: (-len(value), value))), tuple(_added))


@lru_cache(maxsize=8)
def _secret_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if re.search(_VARIABLES, name))


@lru_cache(maxsize=8)
def _pattern(known: tuple[str, ...], added: tuple[str, ...]) -> re.Pattern[str]:
    # What was taken out before is matched first, so that nothing of it is taken out again.
    return re.compile("|".join((re.escape(WITHHELD), *map(re.escape, known), *(f"(?:{a})" for a in added), *_FORMS)), re.DOTALL)
