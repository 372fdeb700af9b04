"""Reading the final answer of a BIG-Bench Hard example, by kind; grader and verifier both rest on it."""

from __future__ import annotations

import re

from ...core.extract import boxed, last_number, number_key
from ...core.task import Task
from ...core.verdict import Verdict

VOCABULARIES = {"boolean": ("True", "False"), "yes_no": ("Yes", "No"), "validity": ("valid", "invalid")}
"""Words that are answers, by kind."""
_MARK = re.compile(r"\banswer(?:\s+is\s*:?|\s*:)", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\(([a-z])\)", re.IGNORECASE)
_LETTER = re.compile(r"[\s*$({\[]*([a-z])(?:[*$)}\].:,]|\s*$)", re.IGNORECASE)
_LISTED = re.compile(r"^\(([A-Z])\)", re.MULTILINE)
_LATEX = re.compile(r"\\(?:text|mathrm|textbf|mathbf)\b|\\[a-z]+\b|\\[ ,;!]|[{}]", re.IGNORECASE)
_BRACKETS = "()[]{}<>"


def bbh_grade(task: Task, text: str) -> Verdict:
    """Passes the reference, once both are written in the same form."""
    kind, reference = str(task.context["kind"]), str(task.reference)
    found = final_answer(kind, text)
    if found is None:
        return _none(kind)
    wanted = plain(kind, reference)
    return Verdict.passed() if found == wanted else Verdict.failed("the answer is not right", reason="mismatch")


def bbh_form(task: Task, text: str) -> Verdict:
    """Passes an answer of the form that the question wants, right or not: a listed option, the same words, closing brackets."""
    kind, question = str(task.context["kind"]), str(task.context["input"])
    found = final_answer(kind, text)
    if found is None:
        return _none(kind)
    if kind == "option" and found not in options(question):
        return Verdict.failed(f"there is no option {found}", reason="form")
    if kind == "words" and sorted(found.split()) != sorted(plain(kind, question.partition("List:")[2]).split()):
        return Verdict.failed("the words are not those of the list", reason="form")
    if kind == "brackets" and set(found) & set("([{<"):
        return Verdict.failed("there are opening brackets in the answer", reason="form")
    return Verdict.passed()


def options(question: str) -> list[str]:
    """The letters of the options that a question lists."""
    return _LISTED.findall(question)


def final_answer(kind: str, text: str) -> str | None:
    """The answer in plain form, out of the last box, else behind the last "answer is" or "Answer:", else at the end."""
    if kind == "brackets":
        return plain(kind, _MARK.split(_last_line(text))[-1]) or None
    inside = boxed(text)
    if inside is not None:
        return _read(kind, inside, last=False)
    behind = _MARK.split(text)
    if len(behind) > 1:
        line = next((line for line in behind[-1].splitlines() if line.strip(" *_:")), "")
        return _read(kind, line, last=False)
    return _read(kind, _last_line(text) if kind == "words" else text, last=True)


def plain(kind: str, text: str) -> str:
    """A target, or an answer that was found, in the form in which they are compared."""
    match kind:
        case "brackets":
            return "".join(c for c in text if c in _BRACKETS)
        case "words":
            cleaned = re.sub(r"\\([&%$#_])", r"\1", text.casefold())
            return " ".join(word for part in re.split(r"[\s,]+", _LATEX.sub(" ", cleaned)) if (word := part.strip("[]\"'`*.$")))
        case "number":
            return number_key(text) or ""
        case _:
            return text.strip(" ()").casefold() if kind != "option" else text.strip(" ()").upper()


def _read(kind: str, text: str, *, last: bool) -> str | None:
    """The first answer of the kind in the text, or the last one."""
    place = -1 if last else 0
    if kind == "words":
        return plain(kind, text) or None
    if kind == "number":
        return last_number(text)
    if kind == "option":
        found = _IN_BRACKETS.findall(text)
        if not found and (letter := None if last else _LETTER.match(_LATEX.sub(" ", text))):
            found = [letter.group(1)]
        return found[place].upper() if found else None
    words = "|".join(VOCABULARIES[kind])
    found = re.findall(rf"\b(?:{words})\b", text, re.IGNORECASE)
    return found[place].casefold() if found else None


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _none(kind: str) -> Verdict:
    return Verdict.failed(f"there is no answer of the kind {kind}", reason="no_answer")
