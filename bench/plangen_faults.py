"""Where answers are lost, read from the traces of a comparison: by who makes plans, who judges them, who lists constraints.

A task is lost by the generator if no plan was right, and by the judge if one was and another was returned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

from ..agents.constraints import items_of
from ..core.errors import ConfigError
from ..graphs.plangen_bandit import CHOICE
from ..stats import Interval, within_auroc

if TYPE_CHECKING:
    from ..compare.trial import Trial, Trials
    from ..traces.reader import Reader
    from ..traces.views import CallRow, VerdictRow

Rows = list[list[str]]
_CUT = ("length", "aborted")


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What became of an arm's tasks."""

    right: int
    passed_over: int
    """A right candidate was there, and another was returned: lost by the judge."""
    none_right: int
    """Candidates were there, none of them right: lost by who makes them."""
    none: int
    """There was no whole candidate."""
    blind: float
    """Share right if of each task's candidates one were drawn at random; tasks without any count as not right."""

    @staticmethod
    def of(trials: Sequence[Trial]) -> Lost:
        """The tasks of one arm."""
        fates = Counter(_fate(t) for t in trials)
        blind = fmean(fmean(c.right is True for c in t.candidates) if t.candidates else 0.0 for t in trials)
        return Lost(
            right=fates["right"],
            passed_over=fates["passed over"],
            none_right=fates["none right"],
            none=fates["none"],
            blind=blind,
        )


def _fate(trial: Trial) -> str:
    if trial.right:
        return "right"
    if not trial.candidates:
        return "none"
    return "passed over" if any(c.right for c in trial.candidates) else "none right"


@dataclass(frozen=True, kw_only=True)
class Agents:
    """What the agents of one arm did, over all its runs."""

    generated: Mapping[str, float]
    """Generated tokens of a run by the role that asked; means."""
    judgements: int = 0
    """Verdicts that the verification agent gave on whole candidates and beginnings."""
    unread: int = 0
    """Of these, abstentions because neither reply could be read."""
    judge_calls: int = 0
    judge_cut: int = 0
    """Replies of the judge that were cut at their limit."""
    auroc: Interval | None = None
    """P(score of a right candidate > score of a wrong one of the same task), of any verifier; None where nothing shows it."""
    lists: Sequence[int] = field(default_factory=list[int])
    """How many constraints each reply of the constraint agent has, once read."""
    lists_cut: int = 0
    """Replies of the constraint agent that were cut at their limit."""
    chosen: Mapping[str, int] = field(default_factory=dict[str, int])
    """How often the bandit chose each search."""
    priors_unread: int = 0
    """Choices made without a prior, since the selection agent could not be understood."""
    first: Sequence[int] = (0, 0)
    """Of a mixture's first plans, made before anything was said of one: how many are right, and how many there are."""
    later: Sequence[int] = (0, 0)
    """The same of the plans of all searches after it."""


def agents(reader: Reader, trials: Sequence[Trial]) -> Agents:
    """What the agents did in an arm's runs."""
    tokens: dict[str, int] = defaultdict(int)
    verdicts: list[VerdictRow] = []
    asked: dict[str, list[CallRow]] = defaultdict(list)
    ranked: list[list[tuple[float, bool]]] = []
    plans: dict[bool, list[bool]] = {True: [], False: []}
    for trial in trials:
        own = reader.verdicts(trial.run_id)
        verdicts += own
        ranked.append(_scored(own))
        for first, right in _origins(reader, trial.run_id, own):
            plans[first].append(right)
        for call in reader.calls(trial.run_id):
            if call.kind == "generate" and call.state != "refused":
                tokens[call.role] += call.completion_tokens
                asked[call.role].append(call)
    judged = [v for v in verdicts if v.verifier == "verification_agent" and not v.grading]
    listed = [c for c in asked["constraint"] if c.state == "ok" and c.text_sha]
    choices = reader.effects(CHOICE, trials[0].run_id) if trials else []
    chosen = [cast("Mapping[str, Any]", choice) for choice in choices]
    return Agents(
        generated={role: total / len(trials) for role, total in sorted(tokens.items())},
        judgements=len(judged),
        unread=sum(v.reason == "unparsable" for v in judged),
        judge_calls=len(asked["judge"]),
        judge_cut=_cut(asked["judge"]),
        auroc=_auroc(ranked),
        lists=[len(items_of(reader.text(c.text_sha), cut=c.finish_reason in _CUT)) for c in listed if c.text_sha],
        lists_cut=_cut(listed),
        chosen=dict(Counter(str(choice["arm"]) for choice in chosen)),
        priors_unread=sum(bool(choice["problem"]) for choice in chosen),
        first=(sum(plans[True]), len(plans[True])) if choices else (0, 0),
        later=(sum(plans[False]), len(plans[False])) if choices else (0, 0),
    )


def _origins(reader: Reader, run: str, verdicts: Sequence[VerdictRow]) -> Iterator[tuple[bool, bool]]:
    """Of each graded plan of a run, whether the mixture's first node made it, and whether it is right."""
    truth = {v.candidate_id: v.outcome == "pass" for v in verdicts if v.grading and v.outcome != "abstain"}
    for candidate in reader.candidates(run):
        if candidate.id in truth:
            yield candidate.position.startswith("/propose"), truth[candidate.id]


def _cut(calls: Sequence[CallRow]) -> int:
    return sum(c.finish_reason in _CUT for c in calls)


def _scored(verdicts: Sequence[VerdictRow]) -> list[tuple[float, bool]]:
    """Score and truth of one run's candidates that have both; without a score a pass is 1 and a failure 0."""
    truth = {v.candidate_id: v.outcome == "pass" for v in verdicts if v.grading and v.outcome != "abstain"}
    said = [v for v in verdicts if not v.grading and v.outcome != "abstain" and v.candidate_id in truth]
    return [(float(v.outcome == "pass") if v.score is None else v.score, truth[v.candidate_id]) for v in said]


def _auroc(ranked: Sequence[Sequence[tuple[float, bool]]]) -> Interval | None:
    try:
        return within_auroc(ranked).interval
    except ConfigError:  # Fewer than two tasks have both right and wrong candidates that were judged.
        return None


def lost_rows(trials: Trials) -> Rows:
    """Header and rows: by whom each arm's tasks were lost."""
    rows = [["ARM", "RIGHT", "PASSED OVER", "NONE RIGHT", "NO CANDIDATE", "BLIND CHOICE"]]
    for arm, found in trials.items():
        if not found:
            continue
        lost = Lost.of(found)
        counts = (lost.right, lost.passed_over, lost.none_right, lost.none)
        rows.append([arm, *(f"{n:,}" for n in counts), f"{lost.blind:.2f}".lstrip("0")])
    return rows


def token_rows(found: Mapping[str, Agents]) -> Rows:
    """Header and rows: generated tokens of a run by role."""
    roles = sorted({role for a in found.values() for role in a.generated})
    rows = [["GENERATED", *(role.upper() for role in roles)]]
    return rows + [[arm, *(f"{a.generated.get(role, 0):,.0f}" for role in roles)] for arm, a in found.items()]


def agent_rows(found: Mapping[str, Agents]) -> Rows:
    """Header and rows: how the judge and the constraint agent did, of arms that have any."""
    rows = [["AGENTS", "JUDGEMENTS", "UNREAD", "REPLIES CUT", "AUROC", "LISTS", "EMPTY", "CUT", "CONSTRAINTS"]]
    for arm, a in found.items():
        if a.judgements or a.lists or a.auroc:
            mean = f"{fmean(a.lists):.1f}" if a.lists else "-"
            judge = (f"{a.judgements:,}", f"{a.unread:,}", f"{a.judge_cut:,}/{a.judge_calls:,}", str(a.auroc or "-"))
            rows.append([arm, *judge, f"{len(a.lists):,}", f"{list(a.lists).count(0):,}", f"{a.lists_cut:,}", mean])
    return rows if len(rows) > 1 else []


def choice_lines(found: Mapping[str, Agents]) -> list[str]:
    """What bandits chose, a line for each arm that has one."""
    return [
        f"{arm} chose {', '.join(f'{name} {n:,}' for name, n in sorted(a.chosen.items()))};"
        f" {a.priors_unread:,} of {sum(a.chosen.values()):,} times without a prior that could be read;"
        f" right are {a.first[0]:,} of its {a.first[1]:,} first plans, {a.later[0]:,} of {a.later[1]:,} later ones"
        for arm, a in found.items()
        if a.chosen
    ]
