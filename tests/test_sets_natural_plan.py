"""NATURAL PLAN: tiny files in the exact format, the published rules with their traps, and the real files where they are."""

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.bench.sets.graders_natural_plan import minutes, solution
from burnish.bench.sets.natural_plan import NATURAL_PLAN
from burnish.bench.sets.natural_plan_checks import most_meetings
from burnish.bench.sets.registry import load_tasks
from burnish.core.candidate import Candidate
from burnish.core.errors import ConfigError
from burnish.core.ids import canonical_json
from burnish.core.task import Task
from burnish.core.verify import judge
from burnish.verifiers import check_task, make_verifier

CALENDAR = (
    "You are an expert at scheduling meetings. Here are a few example tasks and solutions:\n\nTASK: You need to schedule a "
    "meeting for Ann and Bob for one hour between the work hours of 9:00 to 17:00 on either Monday or Tuesday. \n\n"
    "Here are the existing schedules for everyone during the days: \n"
    "Ann has meetings on Monday during 9:00 to 12:00, Tuesday during 9:00 to 10:30; \n"
    "Bob's calendar is wide open the entire week.\n\n"
    "Bob would like to avoid more meetings on Monday. Tuesday before 11:30. {}Find a time that works for everyone's schedule "
    "and constraints. \nSOLUTION: "
)
EARLIEST = "You would like to schedule the meeting at their earlist availability.\n"
WORK = [{"day": day, "start": a, "end": b} for day in ("Monday", "Tuesday") for a, b in ((0, 9), (17, 24))]
BUSY = [
    {"day": "Monday", "start": 9, "end": 12},
    {"day": "Tuesday", "start": 9, "end": 10.5},
    {"day": "Monday", "start": 0, "end": 24},
]
TRIP = (
    "You plan to visit 3 European cities for 8 days in total. You only take direct flights to commute between cities. You "
    "would like to visit Oslo for 3 days. You want to spend 4 days in Rome. You have to attend a workshop in Rome between day "
    "3 and day 6. You plan to stay in Bonn for 3 days.\n\nHere are the cities that have direct flights:\n"
    "Oslo and Rome, from Rome to Bonn, from Bonn to Oslo.\n\n"
    "Find a trip plan of visiting the cities for 8 days by taking direct flights to commute between them."
)
TRIP_PLAN = (
    "Here is the trip plan for visiting the 3 European cities for 8 days:\n\n"
    "**Day 1-3:** Arriving in Oslo and visit Oslo for 3 days.\n**Day 3:** Fly from Oslo to Rome.\n"
    "**Day 3-6:** Visit Rome for 4 days.\n**Day 6:** Fly from Rome to Bonn.\n**Day 6-8:** Visit Bonn for 3 days."
)
FRIENDS = [["Pier", "9:00AM"], ["Ann", "Hill", "10:00AM to 11:00AM", 30], ["Bob", "Park", "12:00PM to 1:00PM", 45]]
WAYS = {"Pier": {"Hill": 20, "Park": 30}, "Hill": {"Pier": 25, "Park": 15}, "Park": {"Pier": 30, "Hill": 10}}
MEETING_PLAN = [
    "You start at Pier at 9:00AM.",
    "You travel to Hill in 20 minutes and arrive at 9:20AM.",
    "You wait until 10:00AM.",
    "You meet Ann for 30 minutes from 10:00AM to 10:30AM.",
    "You travel to Park in 15 minutes and arrive at 10:45AM.",
    "You wait until 12:00PM.",
    "You meet Bob for 45 minutes from 12:00PM to 12:45PM.",
]
PLAN = "SOLUTION: " + " ".join(MEETING_PLAN)


LATE = {
    "people_to_meet": [
        {"name": "Ann", "location": "Hill", "time_of_day": {"from": "late", "to": "later"}, "min_meeting_duration": 30}
    ],
    "travel_distances": [],
    "start": {"location": "Pier", "time_of_day": "9:00AM"},
}


def files(earliest: str = "") -> dict[str, dict]:
    slot = "Here is the proposed time: Tuesday, 11:30 - 12:30 "
    people = [
        {
            "name": n,
            "location": p,
            "time_of_day": {"from": w.split(" to ")[0], "to": w.split(" to ")[1]},
            "min_meeting_duration": m,
        }
        for n, p, w, m in FRIENDS[1:]
    ]
    distances = [{"place": {"from": a, "to": b}, "walking_time": n} for a, ways in WAYS.items() for b, n in ways.items()]
    start = {"location": "Pier", "time_of_day": "9:00AM"}
    stays = {"Oslo": 3, "Rome": 4, "Bonn": 3}
    return {
        "calendar_scheduling_100": {"prompt_0shot": CALENDAR.format(earliest), "golden_plan": slot, "num_people": "2"},
        "calendar_scheduling_100_constraints": {"constraints": {"meeting_duration": 1, "disallowed_ranges": WORK + BUSY}},
        "meeting_planning_100": {
            "prompt_0shot": "You are visiting San Francisco for the day.\n\nYour response should start with 'SOLUTION:'.",
            "golden_plan": MEETING_PLAN,
            "constraints": FRIENDS,
            "dist_matrix": WAYS,
            "num_people": 2,
        },
        "meeting_planning_100_constraints": {
            "constraints": {"travel_distances": distances, "start": start, "people_to_meet": people}
        },
        "trip_planning_100": {
            "prompt_0shot": TRIP,
            "golden_plan": TRIP_PLAN,
            "cities": "Oslo**Rome**Bonn",
            "durations": "3**4**3",
            "num_cities": "3",
        },
        "trip_planning_100_constraints": {
            "constraints": {
                "trip_length": 8,
                "city_length": [{"city": city, "days": days} for city, days in stays.items()],
                "city_day_ranges": [{"city": "Rome", "start": 3, "end": 6}],
                "direct_flights": [{"from": "Oslo", "to": "Bonn"}],
            }
        },
    }


def written(folder: Path, contents: dict[str, dict]) -> Path:
    for name, entry in contents.items():
        key = name.removesuffix("_constraints").replace("_100", "_example_7")
        (folder / f"{name}.json").write_text(json.dumps({key: entry}))
    return folder


@pytest.fixture
def tasks(tmp_path) -> dict[str, Task]:
    return {task.metadata["family"]: task for task in NATURAL_PLAN.load(written(tmp_path, files()), 0)}


async def judged(task: Task, text: str):
    """What grader and verifier say."""
    return [await judge(make_verifier(spec), task, Candidate.of(text)) for spec in (task.grader, task.verifier)]


async def outcomes(task: Task, text: str) -> tuple[str, ...]:
    return tuple(verdict.outcome for verdict in await judged(task, text))


def test_tasks_have_what_they_need(tasks, tmp_path):
    assert [task.id for task in tasks.values()] == [f"natural_plan/{name}/7" for name in ("calendar", "meeting", "trip")]
    for task in tasks.values():
        assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
        assert make_verifier(task.grader).oracle
        assert not make_verifier(task.verifier).oracle
        check_task(make_verifier(task.grader), task)
        assert "SOLUTION:" in task.prompt
        assert "example tasks" not in task.prompt
        assert not task.prompt.rstrip().endswith("SOLUTION:")
    assert [task.id for task in load_tasks("natural_plan", tmp_path, limit=2, seed=1)]
    calendar = tasks["calendar"].context["constraints"]
    assert (calendar["hours"], calendar["days"], calendar["earliest"]) == (1, ["Monday", "Tuesday"], False)
    assert {"day": "Tuesday", "start": 0, "end": 11.5} in calendar["busy"]
    assert tasks["trip"].context["constraints"]["flights"] == [
        ["Oslo", "Rome"],
        ["Rome", "Oslo"],
        ["Rome", "Bonn"],
        ["Bonn", "Oslo"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SOLUTION: Here is the proposed time: Tuesday, 11:30 - 12:30", ("pass", "pass")),
        ("Tuesday, 11:30 - 12:30 works", ("pass", "pass")),
        ("Monday, 9:00 - 10:00 is taken.\nSOLUTION: Tuesday, 11:30 - 12:30", ("pass", "pass")),
        ("Tuesday, 13:00 - 14:00", ("fail", "pass")),
        ("Tuesday, 11:00 - 12:00", ("fail", "fail")),
        ("Monday, 13:00 - 14:00", ("fail", "fail")),
        ("Tuesday, 11:30 - 12:00", ("fail", "fail")),
        ("Wednesday, 11:30 - 12:30", ("fail", "fail")),
        ("Tuesday, 16:30 - 17:30", ("fail", "fail")),
        ("Tuesday, 11:30-12:30", ("fail", "fail")),
        ("Tuesday, 11:30 – 12:30", ("fail", "fail")),
        ("a" * 100_000, ("fail", "fail")),
    ],
)
async def test_calendar(tasks, text, expected):
    assert await outcomes(tasks["calendar"], text) == expected


async def test_a_slot_off_the_half_hour_counts_only_for_the_published_script(tasks):
    task = replace(tasks["calendar"], reference="Here is the proposed time: Tuesday, 12:00 - 13:00")
    grade, check = await judged(task, "Tuesday, 12:15 - 13:15")
    assert (grade.outcome, grade.evidence["official"], check.outcome) == ("fail", True, "pass")
    grade, _ = await judged(task, "Tuesday, 12:00 - 13:00")
    assert (grade.outcome, grade.evidence["official"]) == ("pass", True)


async def test_the_earliest_time_where_that_is_asked(tmp_path):
    task = NATURAL_PLAN.load(written(tmp_path, files(EARLIEST)), 0)[0]
    assert await outcomes(task, "Tuesday, 11:30 - 12:30") == ("pass", "pass")
    _, check = await judged(task, "Tuesday, 12:00 - 13:00")
    assert check.feedback == "there is an earlier time at which all are free"


async def test_an_answer_cut_off_is_no_slot_but_may_be_a_beginning(tasks):
    cut = replace(Candidate.of("Tuesday, 11:30 - 12:30"), finish_reason="length")
    assert (await judge(make_verifier(tasks["calendar"].grader), tasks["calendar"], cut)).outcome == "abstain"
    cut = replace(Candidate.of(TRIP_PLAN[:180]), finish_reason="length")
    verdict = await judge(make_verifier(tasks["trip"].verifier), tasks["trip"], cut)
    assert (verdict.outcome, verdict.reason) == ("fail", "incomplete")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda plan: plan, ("pass", "pass")),
        (lambda plan: "I think.\nSOLUTION:\n" + plan, ("pass", "pass")),
        (
            lambda plan: plan + "\n\nOr else:\n**Day 1-4:** Visit Rome for 4 days.\n**Day 4:** Fly from Rome to Bonn.",
            ("pass", "pass"),
        ),
        (lambda plan: plan.replace("Visit Rome for 4", "See Rome for 4"), ("pass", "fail")),
        (lambda plan: plan.replace("Day 3-6", "Day 3-5"), ("pass", "fail")),
        (lambda plan: plan.replace("Day 3:", "Day 2:"), ("fail", "fail")),
        (lambda plan: plan.replace("6-8", "6–8"), ("fail", "fail")),
        (lambda plan: plan.replace("Oslo", "X").replace("Bonn", "Oslo").replace("X", "Bonn"), ("fail", "fail")),
        (lambda plan: plan.replace("Oslo", "Atlantis"), ("fail", "fail")),
        (lambda plan: plan.rpartition("\n")[0], ("fail", "fail")),
        (lambda plan: plan.replace("\n", " "), ("fail", "fail")),
        (lambda plan: "Day 1 from " * 20_000, ("fail", "fail")),
        (lambda plan: "no plan", ("fail", "fail")),
    ],
)
async def test_trip(tasks, change, expected):
    assert await outcomes(tasks["trip"], change(TRIP_PLAN)) == expected


async def test_a_trip_that_goes_on_counts_only_for_the_published_script(tasks):
    more = TRIP_PLAN.partition("\n\n")[2] + "\n**Day 8:** Fly from Bonn to Oslo."
    grade, _ = await judged(tasks["trip"], more)
    assert (grade.outcome, grade.evidence["official"], grade.score) == ("fail", True, 0.75)


async def test_the_first_wrong_line_of_a_trip_is_named_and_what_is_before_it_kept(tasks):
    text = "Think.\nSOLUTION:\n" + TRIP_PLAN.replace("Fly from Rome to Bonn", "Fly from Rome to Lima")
    _, check = await judged(tasks["trip"], text)
    assert check.feedback.startswith("there is no such direct flight: **Day 6:** Fly from Rome to Lima")
    assert text[: check.valid_prefix].endswith("Visit Rome for 4 days.\n")
    assert check.score == pytest.approx(2 / 3)
    _, check = await judged(tasks["trip"], TRIP_PLAN.replace("Day 1-3", "Day 1-4"))
    assert "3 days" in check.feedback
    assert TRIP_PLAN[: check.valid_prefix].endswith("8 days:\n\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda plan: plan, ("pass", "pass")),
        (lambda plan: plan + "\n\nThat is the best plan.", ("pass", "pass")),
        # Stated travel times are not read.
        (
            lambda plan: plan.replace("in 15 minutes and arrive at 10:45AM", "in 99 minutes and arrive at 9:00PM"),
            ("pass", "pass"),
        ),
        # The grader reads the time to wait until, the verifier the time of the meeting.
        (lambda plan: plan.replace("You wait until 12:00PM. ", ""), ("fail", "pass")),
        (lambda plan: plan.replace("from 12:00PM to 12:45PM", "from 12:00PM to 12:30PM"), ("pass", "fail")),
        (lambda plan: plan.replace("from 12:00PM to 12:45PM", "from 12:30PM to 1:15PM"), ("pass", "fail")),
        (lambda plan: plan.replace("wait until 10:00AM", "wait until 9:10AM"), ("fail", "fail")),
        (lambda plan: plan.replace("wait until 10:00AM", "wait until 10:45AM"), ("fail", "fail")),
        (lambda plan: plan.replace("Bob", "Eve"), ("fail", "fail")),
        (lambda plan: plan.replace("Bob", "Ann"), ("fail", "fail")),
        (lambda plan: plan.replace("travel to Park", "travel to Moon"), ("fail", "fail")),
        (lambda plan: plan.replace("travel to Park", "travel to Hill"), ("fail", "fail")),
        (lambda plan: plan.replace("travel to Park", "travel Park"), ("fail", "fail")),
        (lambda plan: plan.partition(" You travel to Park")[0], ("fail", "fail")),
        (lambda plan: plan.replace("10:00AM.", "10:00 a.m."), ("fail", "fail")),
        (lambda plan: "I am not sure.", ("fail", "fail")),
        (lambda plan: "You meet " * 20_000, ("fail", "fail")),
    ],
)
async def test_meeting(tasks, change, expected):
    assert await outcomes(tasks["meeting"], change(PLAN)) == expected


async def test_the_first_wrong_step_of_a_day_is_named_and_what_is_before_it_kept(tasks):
    text = "Think.\n" + PLAN.replace("from 12:00PM", "from 11:00AM")
    grade, check = await judged(tasks["meeting"], text)
    assert grade.outcome == "pass"
    assert check.feedback.startswith("one cannot be there at that time: You meet Bob")
    assert text[: check.valid_prefix].endswith("You wait until 12:00PM. ")
    assert check.score == 0.5


def test_how_many_friends_can_be_met():
    limits = {
        "start": "Pier",
        "time": "9:00AM",
        "friends": {n: [p, *w.split(" to "), m] for n, p, w, m in FRIENDS[1:]},
        "travel": WAYS,
    }
    assert most_meetings(canonical_json(limits)) == 2
    assert most_meetings(canonical_json({**limits, "time": "10:15AM"})) == 1
    assert most_meetings(canonical_json({**limits, "time": "12:30PM"})) == 0
    assert most_meetings(canonical_json({**limits, "travel": {}})) == 0


def test_times_and_marks():
    assert [minutes(text) for text in ("12:00AM", "9:05AM", "12:30PM", "11:59pm")] == [0, 545, 750, 1439]
    for text in ("13:00PM", "0:10AM", "9:60AM", "9AM", "", "9:00 a"):
        with pytest.raises(ValueError, match="no time"):
            minutes(text)
    assert solution("SOLUTION: a SOLUTION: b") == " b"
    assert solution("a") == "a"


@pytest.mark.parametrize(
    ("name", "field", "value", "said"),
    [
        ("calendar_scheduling_100", "golden_plan", "soon", "no slot"),
        ("calendar_scheduling_100", "prompt_0shot", None, "prompt_0shot"),
        ("calendar_scheduling_100_constraints", "constraints", {"meeting_duration": 1}, "disallowed_ranges"),
        ("calendar_scheduling_100_constraints", "constraints", [], "constraints"),
        ("meeting_planning_100", "constraints", [["Pier", "9:00AM"], ["Ann", "Hill", "soon", 30]], "golden_plan"),
        ("meeting_planning_100", "constraints", None, "golden_plan"),
        ("meeting_planning_100", "dist_matrix", {}, "dist_matrix"),
        ("meeting_planning_100_constraints", "constraints", {"people_to_meet": 3}, "people_to_meet"),
        ("meeting_planning_100_constraints", "constraints", LATE, "people_to_meet"),
        ("trip_planning_100", "durations", "3**4", "durations"),
        ("trip_planning_100", "prompt_0shot", TRIP.replace("Oslo and Rome", "Oslo nach Rome"), "flight"),
        (
            "trip_planning_100_constraints",
            "constraints",
            {"trip_length": "x", "city_length": [], "city_day_ranges": []},
            "trip_length",
        ),
    ],
)
def test_a_malformed_entry_is_named(tmp_path, name, field, value, said):
    contents = files()
    contents[name][field] = value
    with pytest.raises(ConfigError, match=said) as caught:
        NATURAL_PLAN.load(written(tmp_path, contents), 0)
    assert f"{name}.json" in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", '{"a": 3}', '{"trip_planning_example_8": {"x": 1}}', "[" * 100_000])
def test_a_malformed_file_is_named(tmp_path, content):
    folder = written(tmp_path, files())
    (folder / "trip_planning_100.json").write_text(content)
    with pytest.raises(ConfigError, match="trip_planning_100"):
        NATURAL_PLAN.load(folder, 0)


@pytest.mark.skipif("BURNISH_DATA" not in os.environ, reason="BURNISH_DATA names no folder with the data")
async def test_the_real_files():
    """Golden plans pass both; a stored model's answers score as published scripts score them, and 7 more slots are valid."""
    tasks, found = load_tasks("natural_plan"), Counter[tuple[str, ...]]()
    assert len(tasks) == NATURAL_PLAN.size
    folder = Path(os.environ["BURNISH_DATA"])
    raw = {}
    for name in ("calendar_scheduling", "meeting_planning", "trip_planning"):
        file = next(folder.rglob(f"{name}_100.json"))
        raw |= {
            f"natural_plan/{name.split('_')[0]}/{key.rpartition('_')[2]}": row
            for key, row in json.loads(file.read_text()).items()
        }
    for task in tasks:
        golden = raw[task.id]["golden_plan"]
        assert await outcomes(task, golden if isinstance(golden, str) else " ".join(golden)) == ("pass", "pass")
        grade, check = await judged(task, raw[task.id]["pred_5shot_pro"])
        assert grade.evidence.get("official", grade.outcome == "pass") == (grade.outcome == "pass")
        found[task.metadata["family"], grade.outcome, check.outcome] += 1
    assert {f: sum(n for k, n in found.items() if k[:2] == (f, "pass")) for f in ("calendar", "meeting", "trip")} == {
        "calendar": 56,
        "meeting": 38,
        "trip": 33,
    }
    assert found["calendar", "fail", "pass"] == 7
    assert found["calendar", "pass", "fail"] == 0
