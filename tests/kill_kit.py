"""What must hold of a store after kills: the record against the log of what reached the engine and what was acknowledged.

A trial has `url`, `lines()` (its log), `query(sql, *values)`, `kills`, `calls` (most that may be in flight at a kill), and
`cancels`: whether its policies cancel what they asked for.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from burnish.core.ids import derived_seed
from burnish.traces.audit import audit

TABLES = ("step", "call", "candidate", "verdict", "decision", "tell")


class Trial(Protocol):
    url: str
    kills: int
    cancels: bool

    def lines(self) -> list[str]: ...
    def query(self, sql: str, *values: object) -> list: ...


def tree(trial: Trial) -> list:
    """What must be the same whoever was killed: candidates, verdicts, choices and answers, by task and position."""
    run, fixed = "JOIN run r ON r.id = x.run_id", "x.kind <> 'dice'"
    return [
        trial.query(f"SELECT r.task_id, x.position, x.kind, x.preview, x.depth FROM candidate x {run} ORDER BY 1, 2"),
        trial.query(f"SELECT r.task_id, x.position, x.outcome, x.score FROM verdict x {run} ORDER BY 1, 2"),
        trial.query(f"SELECT r.task_id, x.position, x.selected, x.reason FROM decision x {run} ORDER BY 1, 2"),
        trial.query(
            f"SELECT r.task_id, x.position, x.state, x.preview, x.value_sha FROM call x {run} WHERE {fixed} ORDER BY 1, 2"
        ),
    ]


def answers(trial: Trial) -> list:
    return trial.query("SELECT task_id, answer, outcome FROM run ORDER BY task_id")


def check(trial: Trial, undisturbed: Trial) -> None:
    check_record(trial)
    if not trial.cancels:
        assert tree(trial) == tree(undisturbed), "I4: candidates, verdicts, choices as undisturbed"
        assert answers(trial) == answers(undisturbed), "I4: same answers"


def check_record(trial: Trial) -> None:
    """All that can be said without another batch to hold it against."""
    check_log(trial, trial.lines())
    for (run_id,) in trial.query("SELECT id FROM run"):
        check_facts(trial, run_id)
    if trial.url.startswith("sqlite"):
        assert trial.query("PRAGMA foreign_key_check") == [], "I7"
        assert trial.query("PRAGMA integrity_check") == [("ok",)], "I7"
    # A call that was in flight at a kill, and that the policy cancels on resume before it is sent again, has no end.
    found = [finding for finding in audit(trial.url) if not (trial.cancels and finding.kind == "unfinished_call")]
    assert found == [], f"I7, I8: {found}"
    assert trial.query("SELECT DISTINCT status FROM run") == [("done",)], "I9"
    in_doubt = trial.query("SELECT count(*) FROM call WHERE state = 'intent'")[0][0]
    assert in_doubt <= (64 * trial.kills if trial.cancels else 0)


def check_log(trial: Trial, lines: list[str]) -> None:
    seeds = {}
    for run_id, seed in trial.query("SELECT id, seed FROM run"):
        for (position,) in trial.query("SELECT position FROM call WHERE run_id = ?", run_id):
            seeds[run_id, position] = str(derived_seed(seed, position))
    acked: Counter = Counter()
    for line in lines:
        match line.split():
            case ["ack", run_id, "Outcome", position] if (run_id, position) in seeds:
                acked[seeds[run_id, position]] += 1
            case ["sent", seed]:
                assert not acked[seed], f"I1: a finished call was sent again: {seed}"
    stored = {(r, p) for r, p in trial.query("SELECT run_id, position FROM call WHERE state <> 'intent'")}
    verdicts = Counter(trial.query("SELECT run_id, position FROM verdict"))
    for line in lines:
        match line.split():
            case ["ack", run_id, "Outcome", position]:
                assert (run_id, position) in stored, f"I2: an acknowledged result is lost: {position}"
            case ["ack", run_id, "Judged", position]:
                assert verdicts[run_id, position] == 1, f"I2: an acknowledged verdict is lost or double: {position}"
    sent = sum(1 for line in lines if line.startswith("sent "))
    asked = trial.query("SELECT count(*) FROM call WHERE kind = 'generate' AND state <> 'refused'")[0][0]
    # Sent again is what was in flight, and what had landed and was on its way to the disk while others took its place.
    assert asked <= sent <= asked + 2 * 64 * trial.kills, f"I3: {sent} sent, {asked} recorded, {trial.kills} kills"
    searched = sum(1 for line in lines if line.startswith("searched "))
    found = trial.query("SELECT count(*) FROM call WHERE kind = 'retrieve'")[0][0]
    assert found <= searched <= found + 4 * trial.kills, "I3: only a search that was in flight at a kill is made again"


def check_facts(trial: Trial, run_id: str) -> None:
    spent = trial.query("SELECT sum(calls), sum(output_tokens) FROM budget_entry WHERE run_id = ? AND kind = 'settle'", run_id)
    ended = "kind = 'generate' AND state IN ('ok', 'error', 'cancelled')"
    used = trial.query(f"SELECT count(*), sum(completion_tokens) FROM call WHERE run_id = ? AND {ended}", run_id)
    assert spent == used, "I5: the budget's entries are what the calls used"
    numbers = [n for t in TABLES for (n,) in trial.query(f"SELECT seq FROM {t} WHERE run_id = ?", run_id)]
    for table in ("step", "call"):
        ends = f"SELECT ended_seq FROM {table} WHERE run_id = ? AND ended_seq IS NOT NULL"
        numbers += [n for (n,) in trial.query(ends, run_id)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "I6: the facts of a run are numbered without gaps"
