"""The worker's side of the `regex` verifier."""

from __future__ import annotations

import re
from typing import Any

FLAGS = {"a": re.ASCII, "i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


def flag_bits(flags: str) -> int:
    """The flags that the letters stand for."""
    bits = 0
    for letter in flags:
        bits |= FLAGS[letter]
    return bits


def match(pattern: str, flags: str, mode: str, text: str) -> list[int] | None:
    """Where the pattern is found, as beginning and end; None if it is not."""
    regex: Any = re.compile(pattern, flag_bits(flags))
    found = regex.fullmatch(text) if mode == "fullmatch" else regex.search(text)
    return list(found.span()) if found else None
