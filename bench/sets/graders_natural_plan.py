"""NATURAL PLAN's graders, by the published rules, each in our own words.

Read is what follows the last `SOLUTION:`. Where the published scripts accept what is wrong, these do not: a slot off the half
hour (there, 9:15 counts as 9:00), and a trip that goes on to more cities; the evidence says what the scripts would say
(`official`). Where those crash, at a place or person that does not exist, the simulation stops, as at any other step that is not
possible.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...core.task import Task
from ...core.verdict import Verdict

MARK = "SOLUTION:"
LONGEST_LINE = 500
"""Characters of a line that are looked at; no line of a plan is longer."""
# The look-behind keeps the search linear in a long row of letters.
SLOT = re.compile(r"(?<![A-Za-z])([A-Za-z]+), ([0-9]{1,9}):([0-9]{1,9}) - ([0-9]{1,9}):([0-9]{1,9})")
_RANGE = re.compile(r"\d{1,9}-\d{1,9}")
_FLIGHT = re.compile(r".*Day (\d{1,9}).*from (\w+) to (\w+)")
_TOTAL = re.compile(r"European cities for (\d{1,9}) days")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2})([AP]M)", re.IGNORECASE)


def solution_start(text: str) -> int:
    """Where the text behind the last `SOLUTION:` begins; 0 without one."""
    found = text.rfind(MARK)
    return 0 if found < 0 else found + len(MARK)


def solution(text: str) -> str:
    """What follows the last `SOLUTION:`, or all."""
    return text[solution_start(text) :]


def minutes(text: str) -> int:
    """Minutes from midnight of a time such as `2:45PM`.

    Raises:
        ValueError: it is none.
    """
    found = _TIME.fullmatch(text.strip())
    if not found or not 1 <= int(found[1]) <= 12 or int(found[2]) > 59:
        raise ValueError(f"{text[:20]!r} is no time")
    return int(found[1]) % 12 * 60 + int(found[2]) + (720 if found[3].upper() == "PM" else 0)


def calendar_grade(task: Task, text: str) -> Verdict:
    """Passes if the first slot is the golden one."""
    right, given = SLOT.search(str(task.reference)), SLOT.search(solution(text))
    assert right is not None
    if not given:
        return Verdict.failed(
            "there is no slot of the form `Monday, 9:00 - 9:30`", reason="no_answer", evidence={"official": False}
        )
    evidence = {"official": _rounded(right.groups()) == _rounded(given.groups())}
    if _exact(right.groups()) == _exact(given.groups()):
        return Verdict.passed(evidence=evidence)
    return Verdict.failed("the slot is not the right one", reason="mismatch", evidence=evidence)


def _rounded(slot: Sequence[str]) -> tuple[str, float, float]:
    """As the published script reads it: minutes other than 30 are none."""
    day, hour, minute, end_hour, end_minute = slot
    return day, int(hour) + 0.5 * (minute == "30"), int(end_hour) + 0.5 * (end_minute == "30")


def _exact(slot: Sequence[str]) -> tuple[str, int, int]:
    day, hour, minute, end_hour, end_minute = slot
    return day, int(hour) * 60 + int(minute), int(end_hour) * 60 + int(end_minute)


def trip_grade(task: Task, text: str) -> Verdict:
    """Passes if cities and lengths of stay are the golden ones, in order; the score is the share before the first difference."""
    reference = cast("Mapping[str, Any]", task.reference)
    right = list(zip(cast("list[str]", reference["cities"]), cast("list[int]", reference["days"]), strict=True))
    given = stays(solution(text))
    same = next((i for i, pair in enumerate(zip(right, given, strict=False)) if pair[0] != pair[1]), min(len(right), len(given)))
    evidence = {"official": same == len(right), "right_stays": same, "stays": len(given)}
    if given == right:
        return Verdict.passed(evidence=evidence)
    if not given:
        return Verdict.failed("there is no plan of days and flights", reason="no_answer", evidence=evidence)
    score = same / max(len(right), len(given))
    return Verdict.failed("the stays are not the right ones", score=score, reason="mismatch", evidence=evidence)


def stays(text: str) -> list[tuple[str, int]]:
    """Cities and days, as the published script reads them out of the flights; empty without flights or ranges of days."""
    total, last = -1, 0
    flights: list[tuple[int, str, str]] = []
    for line in (line[:LONGEST_LINE] for line in text.split("\n")):
        if header := _TOTAL.search(line):
            total = int(header[1])
        if visit := _RANGE.search(line):
            last = int(visit[0].split("-")[1])
            if last == total:
                break
        if flight := _FLIGHT.match(line):
            flights.append((int(flight[1]), flight[2], flight[3]))
    if not flights or not last:
        return []
    cities = [flights[0][1], *(to for _, _, to in flights)]
    bounds = [1, *(day for day, _, _ in flights), last]
    return [(city, bounds[i + 1] - bounds[i] + 1) for i, city in enumerate(cities)]


def meeting_grade(task: Task, text: str) -> Verdict:
    """Passes if as many friends are met as in the golden plan, both simulated; the score is the share of them."""
    reference = cast("Mapping[str, Any]", task.reference)
    possible, met = (_met(reference, plan) for plan in (" ".join(reference["plan"]), solution(text)))
    evidence = {"met": met}
    if met == possible:
        return Verdict.passed(evidence=evidence)
    reason = "mismatch" if met else "no_answer"
    return Verdict.failed(
        "not as many friends are met as can be", score=min(met / max(possible, 1), 0.99), reason=reason, evidence=evidence
    )


def _met(reference: Mapping[str, Any], plan: str) -> int:
    """How many meetings take place before the first step that is not possible."""
    (place, time), *friends = reference["constraints"]
    day = _Day(place, minutes(time), reference["dist_matrix"], {friend[0]: friend for friend in friends})
    try:
        for step in filter(None, (part.strip() for part in plan.split("."))):
            day.take(step)
    except (LookupError, ValueError):
        pass
    return len(day.met)


class _Day:
    """The simulated day. Times and lengths that a step states are not read, but for the time to wait until."""

    def __init__(
        self, place: str, now: int, distances: Mapping[str, Mapping[str, int]], friends: Mapping[str, Sequence[Any]]
    ) -> None:
        self.place, self.now, self.distances, self.friends = place, now, distances, friends
        self.met: set[str] = set()

    def take(self, step: str) -> None:
        """Take one step of the plan.

        Raises:
            LookupError: it names nobody, nowhere, or where one is already.
            ValueError: it is not possible, or no step.
        """
        if step.startswith("You travel"):
            to = step.split("travel to ")[1].split(" in")[0].strip()
            self.now, self.place = self.now + self.distances[self.place][to], to
        elif step.startswith("You wait"):
            until = minutes(step.split("wait until ")[1])
            if until <= self.now:
                raise ValueError("time does not run backwards")
            self.now = until
        elif step.startswith("You meet"):
            self._meet(step.split("meet ")[1].split(" for")[0].strip())
        elif not step.startswith("You start"):
            raise ValueError("no step")

    def _meet(self, name: str) -> None:
        _, place, window, length = self.friends[name]
        begin, end = (minutes(part) for part in window.split(" to "))
        if name in self.met or self.place != place or self.now < begin or self.now + length > end:
            raise ValueError("no meeting")
        self.met.add(name)
        self.now += length
