"""Verifiers of NATURAL PLAN: a plan against the constraints of its task, without the golden plan.

They pass any plan that keeps to all constraints, also where the grader wants another one. Of trips and meetings they say the
first step that is wrong, and keep what comes before it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from ...core.ids import canonical_json
from ...core.task import Task
from ...core.text import one_line
from ...core.verdict import Verdict
from .graders_natural_plan import LONGEST_LINE, SLOT, minutes, solution, solution_start

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_VISIT = re.compile(r"Day (\d{1,4})(?:-(\d{1,4}))?\b.*?\b[Vv]isit (\w+)")
_FLY = re.compile(r"Day (\d{1,4})\b.*?\bfrom (\w+) to (\w+)")
_TOLD = re.compile(r"You (travel|wait|meet)\b([^.\n]{0,200})\.?[ ]?")
_TRAVEL = re.compile(r" to (.+?) in \d+ minutes?\b.*")
_WAIT = re.compile(r" until (\S+)")
_MEET = re.compile(r" (.+?) for \d+ minutes? from (\S+) to (\S+)")


def calendar_check(task: Task, text: str) -> Verdict:
    """The slot has the right length, nobody is busy, and it is the earliest where that is asked for."""
    found = SLOT.search(solution(text))
    if not found:
        return Verdict.failed("there is no slot of the form `Monday, 9:00 - 9:30`", reason="no_answer")
    limits = cast("Mapping[str, Any]", task.context["constraints"])
    day, start, end = found[1], int(found[2]) + int(found[3]) / 60, int(found[4]) + int(found[5]) / 60
    if day not in limits["days"] or int(found[3]) > 59 or int(found[5]) > 59:
        return Verdict.failed(f"the meeting cannot be at {one_line(found[0])}", reason="constraint")
    if abs(end - start - limits["hours"]) > 1e-6:
        return Verdict.failed(f"the slot does not take {limits['hours']:g} hours", reason="constraint")
    for busy in limits["busy"]:
        if busy["day"] == day and start < busy["end"] and busy["start"] < end:
            said = f"the time from {_clock(busy['start'])} to {_clock(busy['end'])} on {day} is not free"
            return Verdict.failed(said, reason="constraint", evidence={"busy": busy})
    if limits["earliest"] and _earlier(limits, day, start):
        return Verdict.failed("there is an earlier time at which all are free", reason="constraint")
    return Verdict.passed()


def _clock(hours: float) -> str:
    return f"{int(hours)}:{round(hours % 1 * 60):02d}"


def _earlier(limits: Mapping[str, Any], day: str, start: float) -> bool:
    """Whether a slot on the half hour is free before this one."""
    days = limits["days"][: limits["days"].index(day) + 1]
    slots = ((other, half / 2) for other in days for half in range(48) if other != day or half / 2 < start)
    hours = limits["hours"]
    return any(not any(b["day"] == d and s < b["end"] and b["start"] < s + hours for b in limits["busy"]) for d, s in slots)


def trip_check(task: Task, text: str) -> Verdict:
    """Each stay has its length and holds its appointments, each flight exists, and all cities and days are used up."""
    trip = _Trip(cast("Mapping[str, Any]", task.context["constraints"]))
    kept = solution_start(text)
    for line in _LINE.finditer(text, kept):
        if trip.over:
            break
        if problem := trip.read(line[0][:LONGEST_LINE]):
            said = f"{problem}: {one_line(line[0], 120)}"
            return Verdict.failed(said, score=trip.share, reason="constraint", valid_prefix=kept)
        kept = line.end()
    if not trip.seen:
        return Verdict.failed("there is no plan of days and flights", reason="no_answer")
    if not trip.over:
        said = "the plan ends before all cities are visited and all days are used"
        return Verdict.failed(said, score=trip.share, reason="incomplete", valid_prefix=kept)
    return Verdict.passed()


class _Trip:
    """The trip so far."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        self.limits = limits
        self.seen: list[str] = []
        self.here, self.day = "", 1
        self.visiting = False
        """Whether the stay in the city where one is has been said."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.visiting and len(self.seen) == len(self.limits["stays"]) and self.day == self.limits["days"]

    @property
    def share(self) -> float:
        """Cities visited, of all; below 1."""
        return min(len(self.seen) / len(self.limits["stays"]), 0.99)

    def read(self, line: str) -> str:
        """Take one line of the plan; what is wrong with it, or nothing."""
        if visit := _VISIT.search(line):
            return self._visit(visit[3], int(visit[1]), int(visit[2] or visit[1]))
        if flight := _FLY.search(line):
            return self._fly(flight[2], flight[3], int(flight[1]))
        return ""

    def _visit(self, city: str, begin: int, end: int) -> str:
        if city not in self.limits["stays"] or city in self.seen:
            return "this city is not to be visited, or not again"
        if begin != self.day or self.visiting or (self.here and city != self.here):
            return "the stay does not follow from what comes before it"
        if end - begin + 1 != self.limits["stays"][city]:
            return f"the stay is to take {self.limits['stays'][city]} days"
        for _, first, last in (r for r in self.limits["ranges"] if r[0] == city):
            if not begin <= first <= last <= end:
                return f"one has to be there from day {first} to day {last}"
        self.seen.append(city)
        self.here, self.day, self.visiting = city, end, True
        return ""

    def _fly(self, begin: str, end: str, day: int) -> str:
        if not self.visiting or begin != self.here or day != self.day:
            return "the flight does not leave when and where the stay before it ends"
        if [begin, end] not in self.limits["flights"]:
            return "there is no such direct flight"
        self.here, self.visiting = end, False
        return ""


def meeting_check(task: Task, text: str) -> Verdict:
    """Each meeting is in its place and time, and no plan of direct ways meets more friends."""
    limits = cast("Mapping[str, Any]", task.context["constraints"])
    most = most_meetings(canonical_json(limits))
    day = _Meetings(limits)
    kept = solution_start(text)
    for step in _TOLD.finditer(text, kept):
        if problem := day.read(step[1], step[2]):
            said = f"{problem}: {one_line(step[0], 160)}"
            score = min(len(day.met) / max(most, 1), 0.99)
            return Verdict.failed(said, score=score, reason="constraint", valid_prefix=kept)
        kept = step.end()
    if not day.met:
        return Verdict.failed("the plan has no meeting", reason="no_answer")
    if len(day.met) < most:
        said = "all steps are possible, but more friends can be met"
        return Verdict.failed(said, score=len(day.met) / most, reason="incomplete", evidence={"met": len(day.met)})
    return Verdict.passed()


class _Meetings:
    """The day so far. A meeting takes place when the plan says, if one can be there by then."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        self.limits = limits
        self.place, self.now = limits["start"], minutes(limits["time"])
        self.met: list[str] = []

    def read(self, verb: str, rest: str) -> str:
        """Take one step of the plan; what is wrong with it, or nothing."""
        pattern, take = self._steps()[verb]
        found = pattern.fullmatch(rest)
        try:
            return take(*found.groups()) if found else "this step cannot be read"
        except ValueError:
            return "this is no time of the form 2:45PM"

    def _steps(self) -> dict[str, tuple[re.Pattern[str], Callable[..., str]]]:
        return {"travel": (_TRAVEL, self._travel), "wait": (_WAIT, self._wait), "meet": (_MEET, self._meet)}

    def _travel(self, to: str) -> str:
        if to not in self.limits["travel"].get(self.place, {}):
            return "there is no such way"
        self.now, self.place = self.now + self.limits["travel"][self.place][to], to
        return ""

    def _wait(self, until: str) -> str:
        if minutes(until) <= self.now:
            return "that time has passed"
        self.now = minutes(until)
        return ""

    def _meet(self, name: str, begin: str, end: str) -> str:
        if name not in self.limits["friends"] or name in self.met:
            return "this is nobody to meet, or not again"
        place, opens, closes, least = self.limits["friends"][name]
        if self.place != place or minutes(begin) < self.now:
            return "one cannot be there at that time"
        if minutes(begin) < minutes(opens) or minutes(end) > minutes(closes):
            return f"{name} is there from {opens} to {closes}"
        if minutes(end) - minutes(begin) < least:
            return f"the meeting is to take {least} minutes"
        self.met.append(name)
        self.now = minutes(end)
        return ""


@functools.lru_cache(maxsize=1024)
def most_meetings(limits: str) -> int:
    """How many friends can be met on direct ways: for every set of friends met, the earliest time at which one may be done."""
    found = json.loads(limits)
    states = {(frozenset[str](), found["start"]): minutes(found["time"])}
    most = 0
    while states := _one_more(found, states):
        most += 1
    return most


_States = dict[tuple[frozenset[str], str], int]


def _one_more(limits: Mapping[str, Any], states: _States) -> _States:
    done: _States = {}
    for (met, place), now in states.items():
        for name, there, end in _reachable(limits, place, now):
            if name not in met:
                key = (met | {name}, there)
                done[key] = min(end, done.get(key, end))
    return done


def _reachable(limits: Mapping[str, Any], place: str, now: int) -> Iterator[tuple[str, str, int]]:
    for name, (there, opens, closes, least) in limits["friends"].items():
        way = 0 if there == place else limits["travel"].get(place, {}).get(there)
        if way is not None:
            end = max(now + way, minutes(opens)) + least
            if end <= minutes(closes):
                yield name, there, end
