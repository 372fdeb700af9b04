"""Random inputs of the 23 procedures of ProcBench: `name(rng, count)` gives inputs that may take `count` steps.

Lengths and ranges are those of the published generator, but sentences are random words of our own list, the width of the row in
`move_cyclic` is drawn, and `push_pop` begins with a string of any length, where the published one has the number of steps.
"""

from __future__ import annotations

import random
import string
from typing import Any, TypeAlias

from .procbench_steps import LETTERS
from .procbench_steps import split_piece as cut_piece
from .procbench_text import WORDS

Inputs: TypeAlias = dict[str, Any]
_ALNUM = LETTERS + string.digits


def _text(rng: random.Random, low: int, high: int, alphabet: str = LETTERS) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(low, high)))


def _texts(rng: random.Random, count: int, low: int, high: int, alphabet: str = LETTERS) -> list[str]:
    return [_text(rng, low, high, alphabet) for _ in range(count)]


def sort(rng: random.Random, count: int) -> Inputs:
    return {"string": _text(rng, max(5, count), min(50, 2 * count + 5))}


def gather(rng: random.Random, count: int) -> Inputs:
    strings = _texts(rng, rng.randint(2, 20), 5, 10, _ALNUM)
    triples: list[list[int]] = []
    for _ in range(count):
        index = rng.randrange(len(strings))
        begin = rng.randrange(len(strings[index]))
        triples.append([index, begin, rng.randint(1, len(strings[index]) - begin)])
    return {"strings": strings, "triples": triples}


def count_mixed(rng: random.Random, count: int) -> Inputs:
    """Strings in which three characters of four are letters."""
    kinds = [[LETTERS if rng.random() < 0.75 else string.digits for _ in range(rng.randint(4, 9))] for _ in range(count - 1)]
    return {"strings": ["".join(rng.choice(kind) for kind in row) for row in kinds]}


def search(rng: random.Random, count: int) -> Inputs:
    substrings = _texts(rng, count, 2, 2)
    strings: list[str] = []
    for text in _texts(rng, 10, 3, 10):
        for planted in rng.choices(substrings, k=rng.randint(0, 2)):
            at = rng.randint(0, len(text) - 2)
            text = text[:at] + planted + text[at + 2 :]
        strings.append(text)
    return {"strings": strings, "substrings": substrings}


def copy(rng: random.Random, count: int) -> Inputs:
    strings = _texts(rng, rng.randint(3, 25), 5, 20)
    return {"strings": strings, "indices": rng.choices(range(len(strings)), k=count)}


def substitute(rng: random.Random, count: int) -> Inputs:
    text = _text(rng, count, count)
    old = sorted(set(text))
    return {"string": text, "table": {char: rng.choice(LETTERS) for char in rng.sample(old, len(old))}}


def _runs(rng: random.Random, count: int) -> list[list[Any]]:
    first = rng.randrange(2)
    return [[str((first + i) % 2), rng.randint(1, 9)] for i in range(count)]


def decode(rng: random.Random, count: int) -> Inputs:
    return {"pieces": _runs(rng, count)}


def encode(rng: random.Random, count: int) -> Inputs:
    return {"string": "".join(char * times for char, times in _runs(rng, count))}


def split_at(rng: random.Random, count: int) -> Inputs:
    text = _text(rng, count + 1, 30)
    return {"string": text, "positions": rng.sample(range(1, len(text)), count)}


def split_piece(rng: random.Random, count: int) -> Inputs:
    text = _text(rng, count + 1, 30)
    pieces, pairs = [text], list[list[int]]()
    for _ in range(count):
        index = rng.choice([i for i, piece in enumerate(pieces) if len(piece) > 1])
        pairs.append([index, rng.randrange(1, len(pieces[index]))])
        pieces = cut_piece(pieces, (pairs[-1][0], pairs[-1][1]))
    return {"string": text, "pairs": pairs}


def compose(rng: random.Random, count: int) -> Inputs:
    alphabet = rng.sample(LETTERS, rng.randint(3, 6))
    share = rng.uniform(0.2, 0.95)
    rules = {a + b: rng.choice(alphabet) for a in alphabet for b in alphabet if rng.random() < share}
    text = _text(rng, count + 3, min(30, 2 * count + 6), "".join(alphabet))
    return {"string": text, "rules": {pair: rules[pair] for pair in rng.sample(sorted(rules), len(rules))}}


def decompose(rng: random.Random, count: int) -> Inputs:
    letters = rng.sample(LETTERS, 26)
    kinds = rng.randint(1, min(23, count))
    ruled, plain = letters[:kinds], letters[kinds:]
    chars = [*ruled, *rng.choices(ruled, k=count - kinds), *rng.choices(plain, k=rng.randint(5, 15))]
    rng.shuffle(chars)
    return {"string": "".join(chars), "rules": {char: "".join(rng.choices(plain, k=2)) for char in ruled}}


def rhythm(rng: random.Random, count: int) -> Inputs:
    return {
        "numbers": [rng.randint(1, 9) for _ in range(rng.randint(4, 6))],
        "letters": rng.choices(LETTERS[: rng.randint(2, 5)], k=8),
        "steps": count,
    }


def compare(rng: random.Random, count: int) -> Inputs:
    target = _text(rng, count + 1, count + 1)
    others: list[str] = []
    for _ in range(count - 1 + rng.randint(1, 10)):
        same = rng.randint(1, count)
        other = rng.choice([char for char in LETTERS if char != target[same]])
        others.append(target[:same] + other + _text(rng, count - same, count - same))
    return {"target": target, "candidates": [*others[: count - 1], target, *others[count - 1 :]]}


def sentence(rng: random.Random, count: int) -> Inputs:
    return {"sentence": " ".join(rng.sample(WORDS, count))}


def push_pop(rng: random.Random, count: int) -> Inputs:
    actions: list[list[str]] = []
    for _ in range(count):
        action = rng.choice(["pop_left", "pop_right", "push_left", "push_right"])
        actions.append([action, rng.choice(LETTERS) if action.startswith("push") else ""])
    return {"string": _text(rng, 5, 15), "actions": actions}


def rotate(rng: random.Random, count: int) -> Inputs:
    text = _text(rng, 5, 14)
    pairs = [sorted(rng.sample(range(len(text) + 1), 2)) for _ in range(count)]
    return {"string": text, "pairs": [[begin, end] if end - begin > 1 else [0, len(text)] for begin, end in pairs]}


def fill_word(rng: random.Random, count: int) -> Inputs:
    words: list[str] = rng.sample(WORDS, count + rng.randint(0, 5))
    blanks, pairs = rng.sample(range(len(words)), count), list[list[Any]]()
    for number, at in enumerate(blanks, 1):
        pairs.append([number, words[at]])
        words[at] = f"[{number}]"
    return {"sentence": " ".join(words), "words": pairs}


def delete_char(rng: random.Random, count: int) -> Inputs:
    text = _text(rng, count + 1, 30)
    return {"string": text, "letters": rng.sample(text, count)}


def delete_word(rng: random.Random, count: int) -> Inputs:
    words = rng.sample(WORDS, max(5, count + 1) + rng.randint(0, 4))
    sentence = [*words, *rng.choices(words, k=rng.randint(0, 3))]
    rng.shuffle(sentence)
    return {"sentence": " ".join(sentence), "words": rng.sample(words, count)}


def cumulate(rng: random.Random, count: int) -> Inputs:
    kinds = [rng.choice(["Add", "Multiply"]) for _ in range(count)]
    operations = [[kind, rng.randint(0, 9) if kind == "Add" else rng.randint(1, 5)] for kind in kinds]
    return {"start": rng.randint(1, 9), "operations": operations}


def move_cyclic(rng: random.Random, count: int) -> Inputs:
    width = rng.randrange(5, 51, 5)
    at = rng.randrange(width)
    moves = [[rng.choice(["left", "right"]), rng.randint(1, width)] for _ in range(count)]
    return {"row": "-" * at + "x" + "-" * (width - 1 - at), "moves": moves}


def find_cyclic(rng: random.Random, count: int) -> Inputs:
    text = "".join(rng.sample(_ALNUM, rng.randint(5, 20)))
    return {"string": text, "letter": rng.choice(text), "number": count}
