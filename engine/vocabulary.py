"""The vocabulary of scripted engines: a token is a word of up to seven letters with the space before it.

Longer words are several tokens; a line break, or a letter outside of ASCII, is one of its own. The id of a token is its
UTF-8 form read as a number, so that ids need no table: a text continued from token ids in another process, after a
restart, is the same text. Ids fit in 63 bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ..core.errors import ConfigError

_TOKEN = re.compile(r" ?[!-~]{1,7}| ?.", re.DOTALL)
_LIMIT = 1 << 63


def split(text: str) -> list[str]:
    """The tokens of a text; joined they are the text."""
    return _TOKEN.findall(text)


@lru_cache(maxsize=512)
def count(text: str) -> int:
    """How many tokens a text has."""
    return len(_TOKEN.findall(text))


@lru_cache(maxsize=512)
def encode(text: str) -> tuple[int, ...]:
    """The token ids of a text."""
    return tuple(int.from_bytes(token.encode("utf-8", "surrogatepass"), "big") for token in _TOKEN.findall(text))


def decode(ids: Iterable[int]) -> str:
    """The text of token ids; bytes that are no UTF-8 are shown as replacement characters.

    Raises:
        ConfigError: a number is no id of this vocabulary.
    """
    data = bytearray()
    for number in ids:
        if not 0 <= number < _LIMIT:
            raise ConfigError(f"{number} is no token id of a scripted engine", hint="give ids that came from such an engine")
        data += number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
