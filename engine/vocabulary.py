"""The vocabulary of scripted engines: a token is a word of up to five letters with the space before it.

Longer words are several tokens; a line break, a rarer sign, or a letter outside of ASCII is one of its own. The id of a
token is the token itself, written as a number below 2**32, so that ids need no table: a text continued from token ids in
another process, after a restart, is the same text.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from functools import lru_cache

from ..core.errors import ConfigError

_LETTERS = string.ascii_letters + string.digits + ".,'-_()=:?"
_LONGEST = 5
_BASE = len(_LETTERS) + 1
_SIGNS = _BASE**_LONGEST
"""Numbers from here on are single characters, below it words read as digits from 1 on."""
_DIGIT = {letter: digit for digit, letter in enumerate(_LETTERS, 1)}
_TOKEN = re.compile(rf" ?[{re.escape(_LETTERS)}]{{1,{_LONGEST}}}| ?.", re.DOTALL)


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
    return tuple(map(_number, _TOKEN.findall(text)))


def decode(ids: Iterable[int]) -> str:
    """The text of token ids.

    Raises:
        ConfigError: a number is no id of this vocabulary.
    """
    return "".join(map(_token, ids))


@lru_cache(maxsize=1 << 14)
def _number(token: str) -> int:
    spaced = len(token) > 1 and token[0] == " "
    word = token[1:] if spaced else token
    number = 0
    for letter in word:
        if letter not in _DIGIT:
            number = _SIGNS + ord(letter)
            break
        number = number * _BASE + _DIGIT[letter]
    return 2 * number + spaced


@lru_cache(maxsize=1 << 14)
def _token(number: int) -> str:
    rest, spaced = divmod(number, 2)
    word = ""
    if _SIGNS <= rest < _SIGNS + 0x110000:
        word = chr(rest - _SIGNS)
    while 0 < rest < _SIGNS and rest % _BASE:
        rest, digit = divmod(rest, _BASE)
        word = _LETTERS[digit - 1] + word
    if not word or 0 < rest < _SIGNS:
        raise ConfigError(f"{number} is no token id of a scripted engine", hint="give ids that came from such an engine")
    return " " * spaced + word
