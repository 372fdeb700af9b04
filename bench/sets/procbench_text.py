"""The words of the ProcBench tasks: instructions, the form of an answer, and a list of words for sentences.

The texts are our own. They ask for one numbered line a step, the last of them the final result, so that an answer can be read
without a second model; and what they say to list is what the reference lists, the pairs of `find_cyclic` included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def _list(words: str) -> list[str]:
    return words.split()


WORDS = _list(
    "able across after anchor answer autumn balance bamboo banner barrel beacon beside between blanket bridge "
    "bright broken bucket butter button canal captain carpet castle ceiling cellar chapter cherry circle clever "
    "coffee copper corner cotton cradle crystal curtain daily dancer daughter deep desert distant double driver "
    "early eastern elbow empty engine evening factory fallow farmer father feather fence fiddle finger forward "
    "fresh friend frozen gallery garden gentle giant ginger glass golden gravel green habit harbour harvest heavy "
    "helmet hidden hollow honest honey hotel humble hunter inside iron island jacket journey jungle kettle kitchen "
    "ladder lantern laughter lazy leather letter level lively lonely magnet marble meadow middle minute mirror "
    "modest morning mountain narrow nephew noble northern number object office onion orchard painter palace parcel "
    "patient pebble pepper picture pillow planet plenty pocket polite powder promise purple quarter quick quiet "
    "ragged rapid record ribbon rough saddle sailor salt second shadow shallow signal silent simple sister slender "
    "sober spider spring square stable station steady summer supper sudden tailor tender thunder timber tower "
    "trumpet tunnel under useful valley velvet village violet visit walnut weather window winter wooden worker "
    "yellow young zero"
)
"""Plain words for random sentences. Changing the list changes the tasks."""

TEXTS: dict[str, str] = {
    "sort": (
        "Sort the letters of a string by swaps. Take the letters from a to z, and begin at the first position. Look "
        "for the letter from the current position to the right; if it is there, swap its first occurrence with the "
        "character at the current position, go on to the next position, and look for the same letter again; if it is "
        "not, take the next letter. A swap that changes nothing is no step. A state is the string after a swap.\n\n"
        "String: {string}"
    ),
    "gather": (
        "Begin with an empty string. For each triple (N, i, n), append n characters of string N, from its position i "
        "on. Strings and positions are numbered from 0. A state is the string so far.\n\n"
        "Strings: {strings}\nTriples: {triples}"
    ),
    "count": (
        "For each string, let N1 be how many letters it has, N2 the number that its digits make in their order (0 if "
        "it has none), and N3 = N1 x N2. The state of a string is the list: string, N1, N2, N3. The last state, after "
        "those of all strings, is the sum of all N3 alone.\n\n"
        "Strings: {strings}"
    ),
    "search": (
        "Begin with a count of 0 for each string. For each substring in turn, add to the count of each string how "
        "often the substring occurs in it, without overlap. A state is the list of all counts.\n\n"
        "Strings: {strings}\nSubstrings: {substrings}"
    ),
    "copy": (
        "Begin with an empty string. For each index in turn, append the string of that index, numbered from 0. A state "
        "is the string so far.\n\n"
        "Strings: {strings}\nIndices: {indices}"
    ),
    "substitute": (
        "Go through a string from left to right. At each character, replace it as the table says, and go on to the "
        "next character. Each character is one step, even if nothing changes. A state is the whole string.\n\n"
        "String: {string}\nTable: {table}"
    ),
    "encode": (
        "Encode a string of 0s and 1s. From the left, take the next run of equal characters, and append to a list the "
        "character, an underscore and the length of the run, such as 0_3. A state is the list so far.\n\n"
        "String: {string}"
    ),
    "split_at": (
        "Cut a string at given positions, in the order in which they are given. Positions count the characters of the "
        "original string from 0; to cut at position i means: before the character i. A state is the list of all pieces "
        "from left to right.\n\n"
        "String: {string}\nPositions: {positions}"
    ),
    "split_piece": (
        "Cut a string into pieces. For each pair (i, j) in turn, cut piece i before its character j; pieces, counted "
        "from the left, and characters are numbered from 0. A state is the list of all pieces from left to right.\n\n"
        "String: {string}\nPairs: {pairs}"
    ),
    "compose": (
        "Begin with the list of the characters of a string. A rule AB -> C replaces two neighbours A and B, in this "
        "order, by C. In each step, look from right to left for the first two neighbours that have a rule, and replace "
        "them. End where no rule applies. A state is the list of characters.\n\n"
        "String: {string}\nRules: {rules}"
    ),
    "decompose": (
        "A rule A -> BC replaces a character A by the characters B and C. In each step, look from left to right for "
        "the first character that has a rule, and replace it. End where no rule applies. A state is the whole "
        "string.\n\n"
        "String: {string}\nRules: {rules}"
    ),
    "rhythm": (
        "Begin with an empty string, and at the first element of two lists. In each step, append the number and then "
        "the letter, and go to the next element of both lists; after the last element of a list comes its first. Take "
        "{steps} steps. A state is the string so far.\n\n"
        "Numbers: {numbers}\nLetters: {letters}"
    ),
    "compare": (
        "Compare a target with each candidate in turn, character by character from the beginning, until they differ. "
        "The state of a candidate is the part that is equal. Stop at the first candidate that is equal to the whole "
        "target: the state there, the last one, is the list of the equal parts of all candidates so far, the whole "
        "target included.\n\n"
        "Target: {target}\nCandidates: {candidates}"
    ),
    "count_letters": (
        "Count the letters of a sentence word by word. A state is the list of the 26 counts from a to z, zeros "
        "included, after one more word.\n\n"
        "Sentence: {sentence}"
    ),
    "decode": (
        "Decode a list of pieces. A piece AxB stands for the character A, B times. Begin with an empty string, and "
        "append what each piece stands for. A state is the string so far.\n\n"
        "Pieces: {pieces}"
    ),
    "push_pop": (
        "Change a string by actions. pop_left and pop_right remove the leftmost or the rightmost character; "
        "push_left(A) and push_right(A) add A at the left or the right end. A state is the string after an action.\n\n"
        "String: {string}\nActions: {actions}"
    ),
    "rotate": (
        "For each pair (m, n), rotate the part of the string from position m to position n - 1 by one to the right: "
        "its last character becomes its first. Positions are numbered from 0. A state is the whole string.\n\n"
        "String: {string}\nPairs: {pairs}"
    ),
    "fill_word": (
        "Replace the numbers in brackets in a sentence by words, one after the other. A state is the whole sentence, "
        "with the numbers that are left.\n\n"
        "Sentence: {sentence}\nWords: {words}"
    ),
    "delete_char": (
        "Remove letters from a string. For each letter in turn, remove its first occurrence. A state is the whole "
        "string.\n\n"
        "String: {string}\nLetters: {letters}"
    ),
    "delete_word": (
        "Remove words from a sentence. For each word in turn, remove its first occurrence. A state is the whole "
        "sentence.\n\n"
        "Sentence: {sentence}\nWords: {words}"
    ),
    "cumulate": (
        "Begin with a number, and add or multiply as told. A state is the number after an operation.\n\n"
        "Number: {start}\nOperations: {operations}"
    ),
    "move_cyclic": (
        'Move "x" in a row. For each pair, move it so many places to the left or right; past one end of the row it '
        "comes in again at the other. A state is the whole row.\n\n"
        "Row: {row}\nMoves: {moves}"
    ),
    "find_cyclic": (
        "Find the character that stands a number of positions to the right of a given one. In each step, go one "
        "position to the right in the string, from its end to its beginning, and take one off the number. A state is "
        "the list: character, number that is left. Do not write the given character and number. The last state, where "
        "the number is 0, is the character alone.\n\n"
        "String: {string}\nCharacter: {letter}\nNumber: {number}"
    ),
}
"""Instruction and question of each procedure; the fields are its inputs."""

FORM = (
    "Write each state on a line of its own, beginning with the number of the step, such as `1. state`. The last "
    "line is the final result. Write the items of a list with commas between them. Do not write the state before "
    "the first step, nor anything else."
)
"""How an answer must look."""


def prompt(name: str, inputs: Mapping[str, Any]) -> str:
    """The whole text of one task."""
    return TEXTS[name].format(**{key: _rendered(key, value) for key, value in inputs.items()}) + f"\n\n{FORM}"


def shown_line(state: Any) -> str:
    """A state as an answer writes it."""
    return ", ".join(str(item) for item in cast("list[object]", state)) if isinstance(state, list) else str(state)


def _rendered(key: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{old} -> {to}" for old, to in cast("Mapping[str, str]", value).items()) or "none"
    if not isinstance(value, list):
        return str(value)
    return ", ".join(_item(key, item) for item in cast("Sequence[Any]", value))


def _item(key: str, item: Any) -> str:
    if not isinstance(item, list):
        return str(item)
    parts = [str(part) for part in cast("Sequence[Any]", item)]
    if key == "pieces":
        return "x".join(parts)
    if key == "actions":
        return f"{parts[0]}({parts[1]})" if parts[1] else parts[0]
    return f"{parts[0]} {parts[1]}" if key in ("operations", "moves") else f"({', '.join(parts)})"
