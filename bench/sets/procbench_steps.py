"""The procedures of ProcBench, each as a pure function from a state and a command to the next state.

A command is what the task's inputs say about one step, or None where the state alone says what to do. A state may hold more than
the answer shows, such as what is left of the input; then a function `shown_...` says what an answer shows of it.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

State: TypeAlias = Any
"""JSON. What it is differs from procedure to procedure: a text, a number, a list, or a list of these."""
Command: TypeAlias = Any
Step: TypeAlias = Callable[[State, Command], State]

LETTERS = string.ascii_lowercase


class Done(Exception):
    """Raised by a step where the procedure has come to its end."""


def sort(state: str, command: None) -> str:
    """Selection sort: the next swap that changes something."""
    for position, letter in enumerate(state):
        least = min(state[position:])
        if letter != least:
            other = state.index(least, position)
            return state[:position] + least + state[position + 1 : other] + letter + state[other + 1 :]
    raise Done


def gather(state: str, command: tuple[str, int, int]) -> str:
    """Append a part of a string: beginning and length."""
    text, begin, length = command
    return state + text[begin : begin + length]


def count(state: list[list[Any]], command: str | None) -> list[list[Any]] | int:
    """Letters times number for one string; without a string, the sum over the rows."""
    if command is None:
        return sum(row[3] for row in state)
    letters = sum(char in LETTERS for char in command)
    number = int("".join(char for char in command if char in string.digits) or "0")
    return [*state, [command, letters, number, letters * number]]


def search(state: list[int], command: tuple[str, list[str]]) -> list[int]:
    """Add the occurrences of a text in each string, counted without overlap."""
    text, strings = command
    return [found + where.count(text) for found, where in zip(state, strings, strict=True)]


def copy(state: str, command: str) -> str:
    """Append a string."""
    return state + command


def substitute(state: tuple[str, int], command: Mapping[str, str]) -> list[Any]:
    """Replace the character at the position, and move on."""
    text, position = state
    return [text[:position] + command.get(text[position], text[position]) + text[position + 1 :], position + 1]


def encode(state: tuple[list[str], str], command: None) -> list[Any]:
    """Take the next run of equal characters off the rest of the string."""
    done, rest = state
    if not rest:
        raise Done
    run = len(rest) - len(rest.lstrip(rest[0]))
    return [[*done, f"{rest[0]}_{run}"], rest[run:]]


def split_at(state: list[str], command: int) -> list[str]:
    """Cut at a position of the original string."""
    offset = command
    for index, piece in enumerate(state):
        if offset < len(piece):
            return split_piece(state, (index, offset))
        offset -= len(piece)
    raise ValueError("the position is behind the end")


def split_piece(state: list[str], command: tuple[int, int]) -> list[str]:
    """Cut one piece at an offset inside it."""
    index, offset = command
    piece = state[index]
    if not 0 < offset < len(piece):
        raise ValueError("nothing to cut there")
    return [*state[:index], piece[:offset], piece[offset:], *state[index + 1 :]]


def compose(state: list[str], command: Mapping[str, str]) -> list[str]:
    """Rewrite the rightmost pair of neighbours that has a rule."""
    for right in range(len(state) - 1, 0, -1):
        pair = state[right - 1] + state[right]
        if pair in command:
            return [*state[: right - 1], command[pair], *state[right + 1 :]]
    raise Done


def decompose(state: str, command: Mapping[str, str]) -> str:
    """Rewrite the leftmost character that has a rule."""
    for position, char in enumerate(state):
        if char in command:
            return state[:position] + command[char] + state[position + 1 :]
    raise Done


def compare(state: list[str], command: tuple[str, str]) -> list[str]:
    """Add the longest common beginning of the target and a candidate."""
    target, candidate = command
    same = 0
    while same < min(len(target), len(candidate)) and target[same] == candidate[same]:
        same += 1
    return [*state, target[:same]]


def count_letters(state: list[int], command: str) -> list[int]:
    """Add a word's letters to the 26 counts."""
    return [found + command.lower().count(letter) for found, letter in zip(state, LETTERS, strict=True)]


def decode(state: str, command: tuple[str, int]) -> str:
    """Append a character so many times."""
    return state + command[0] * command[1]


def push_pop(state: str, command: tuple[str, str]) -> str:
    """Remove or add a character at one end."""
    action, char = command
    return {"pop_left": state[1:], "pop_right": state[:-1], "push_left": char + state, "push_right": state + char}[action]


def rotate(state: str, command: tuple[int, int]) -> str:
    """Rotate the part from m up to, not including, n by one to the right."""
    begin, end = command
    part = state[begin:end]
    return state[:begin] + part[-1:] + part[:-1] + state[end:]


def fill_word(state: str, command: tuple[int, str]) -> str:
    """Put a word for its numbered blank."""
    return state.replace(f"[{command[0]}]", command[1])


def delete_char(state: str, command: str) -> str:
    """Remove the first occurrence of a letter."""
    position = state.index(command)
    return state[:position] + state[position + 1 :]


def delete_word(state: str, command: str) -> str:
    """Remove the first occurrence of a word."""
    words = state.split(" ")
    words.remove(command)
    return " ".join(words)


def cumulate(state: int, command: tuple[str, int]) -> int:
    """Add a number, or multiply by it."""
    return state + command[1] if command[0] == "Add" else state * command[1]


def move_cyclic(state: str, command: tuple[str, int]) -> str:
    """Move the x of a row of dashes, around the ends."""
    direction, distance = command
    width = len(state)
    position = (state.index("x") + (distance if direction == "right" else -distance)) % width
    return "-" * position + "x" + "-" * (width - 1 - position)


def find_cyclic(state: tuple[str, int], command: str) -> list[Any]:
    """Walk to the next letter of the string, around its end, and count down."""
    letter, remaining = state
    return [command[(command.index(letter) + 1) % len(command)], remaining - 1]


def shown_count(state: list[list[Any]] | int, last: bool) -> Any:
    """The newest row; at the end the sum."""
    return state if isinstance(state, int) else state[-1]


def shown_first(state: tuple[Any, Any], last: bool) -> Any:
    """The text or list, without what is left to do."""
    return state[0]


def shown_compare(state: list[str], last: bool) -> list[str] | str:
    """The newest beginning; at the end all of them."""
    return state if last else state[-1]


def shown_find(state: tuple[str, int], last: bool) -> list[Any] | str:
    """Letter and number; at the end the letter alone."""
    return state[0] if last else list(state)
