"""What a plan of NATURAL PLAN must keep to, for the verifiers: the constraint files, completed from the prompts.

The files miss what follows a full stop ("... on Monday. Tuesday before 14:30.") and the wish for the earliest time, and their
flights have lost their direction and sometimes their cities; both are read from the prompt, which says them in fixed phrases.
"""

from __future__ import annotations

import re
from typing import Any

from .graders_natural_plan import minutes
from .rows import Row

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_AVOIDED = re.compile(rf"(?:.*\bmeet(?:ings)? on )?({'|'.join(WEEK)})(?: (before|after) (\d+):(\d+))?")


def calendar_constraints(row: Row, task: Row) -> dict[str, Any]:
    """`hours` of the meeting, the `days` it may be on, `busy` times, and whether only the `earliest` time will do."""
    found = _constraints(row)
    try:
        hours = float(found["meeting_duration"])
        busy = [_busy(r["day"], float(r["start"]), float(r["end"])) for r in found["disallowed_ranges"]]
    except (LookupError, TypeError, ValueError):
        raise row.error("'constraints' has no meeting_duration, or no disallowed_ranges of day, start, end") from None
    days = [day for day in WEEK if any(b["day"] == day and b["start"] == 0 for b in busy)]
    prompt = task.text("prompt_0shot")
    said = prompt.partition("existing schedules")[2].partition("Find a time")[0]
    for sentence in re.split(r"[.;]\s+", said):
        if avoided := _AVOIDED.fullmatch(sentence.strip()):
            busy.append(_avoided(*avoided.groups()))
    unique = {(b["day"], b["start"], b["end"]): b for b in busy}
    return {"hours": hours, "days": days, "busy": list(unique.values()), "earliest": "earlist avail" in prompt}


def _avoided(day: str, side: str | None, hour: str | None, minute: str | None) -> dict[str, Any]:
    time = int(hour or 0) + int(minute or 0) / 60
    return _busy(day, time if side == "after" else 0.0, time if side == "before" else 24.0)


def _busy(day: str, start: float, end: float) -> dict[str, Any]:
    return {"day": day, "start": start, "end": end}


def trip_constraints(row: Row, task: Row) -> dict[str, Any]:
    """`days` in all, `stays` by city, `ranges` of days to be in a city, and direct `flights` from and to."""
    found = _constraints(row)
    try:
        stays = {str(city["city"]): int(city["days"]) for city in found["city_length"]}
        ranges = [[str(r["city"]), int(r["start"]), int(r["end"])] for r in found["city_day_ranges"]]
        days = int(found["trip_length"])
    except (LookupError, TypeError, ValueError):
        raise row.error("'constraints' has no trip_length, city_length or city_day_ranges as they should be") from None
    flights: list[list[str]] = []
    for part in (
        task.text("prompt_0shot").partition("direct flights:")[2].partition("Find a trip plan")[0].strip(" .\n").split(",")
    ):
        if way := re.fullmatch(r"from (\w+) to (\w+)", part.strip()):
            flights.append([way[1], way[2]])
        elif both := re.fullmatch(r"(\w+) and (\w+)", part.strip()):
            flights += [[both[1], both[2]], [both[2], both[1]]]
        else:
            raise task.error(f"the prompt has a flight that cannot be read: {part.strip()[:60]}")
    return {"days": days, "stays": stays, "ranges": ranges, "flights": flights}


def meeting_constraints(row: Row, task: Row) -> dict[str, Any]:
    """`start` and `time`, `friends` with place, window and minutes, and minutes to `travel`."""
    found = _constraints(row)
    try:
        friends: dict[str, list[Any]] = {
            str(p["name"]): [p["location"], p["time_of_day"]["from"], p["time_of_day"]["to"], int(p["min_meeting_duration"])]
            for p in found["people_to_meet"]
        }
        for _, opens, closes, _ in friends.values():
            _ = minutes(opens), minutes(closes)
        travel: dict[str, dict[str, int]] = {}
        for way in found["travel_distances"]:
            travel.setdefault(way["place"]["from"], {})[way["place"]["to"]] = int(way["walking_time"])
        start, time = str(found["start"]["location"]), str(found["start"]["time_of_day"])
        minutes(time)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise row.error("'constraints' has no start, people_to_meet or travel_distances as they should be") from None
    return {"start": start, "time": time, "friends": friends, "travel": travel}


def _constraints(row: Row) -> dict[str, Any]:
    found = row.values.get("constraints")
    if not isinstance(found, dict):
        raise row.error("the field 'constraints' is missing or no object")
    return found  # pyright: ignore[reportUnknownVariableType]
