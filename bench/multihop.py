"""Does searching again find more? Auto-RAG and its baselines on questions that take several passages, with a real model.

What a method shows its model is read from its recorded retrievals. Equal numbers of documents means: for each question the
ranking of the bare question, cut at as many as the method showed there, so nothing is generated twice. The questions have no gold
sub-questions; what searching by the titles of the right passages would find, cut alike, is the ceiling, an oracle's.

An arm with ` links` behind its name searches with `links` (`retrieval/linked.py`); what it is held against is the same bare
question without.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..compare.plan import Arm, Plan
from ..core.errors import BurnishError, ConfigError
from ..core.ids import Json
from ..retrieval.linked import READ
from ..retrieval.metrics import support_scores
from ..retrieval.opening import open_retriever
from ..retrieval.record import EFFECT, Retrieval
from ..stats import Interval, bootstrap, paired_bootstrap, power_sentence
from .arguments import carry_out, model_label, model_parser
from .evaluate import carried_out, chosen_tasks
from .hops import in_turn
from .passages import titled, write_passages
from .report import aligned, say
from .sets import hotpotqa

if TYPE_CHECKING:
    from ..compare.trial import Trials
    from ..core.engine import Engine
    from ..core.task import Task
    from ..retrieval.retriever import Retriever
    from ..traces.reader import Reader

CORPUS = "hotpotqa-bench"
BASELINE = "naive"
DEEPEST = 50
CLOSED_BOOK = "closed_book"
ARMS = (BASELINE, CLOSED_BOOK, "auto_rag", "auto_rag structured", "ircot", "iter_drag")
"""Those that are run if nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one arm showed its model: for each question the passages' titles in order, once each, and the searches."""

    titles: Mapping[str, Sequence[str]]
    searches: Mapping[str, int]
    stops: Mapping[str, int]
    """How often it ended for which reason."""


def plan(tasks: Sequence[Task], *, k: int, rounds: int, most: int, name: str, wanted: Sequence[str] = ARMS) -> Plan:
    """The arms. A method that searches in rounds shows at most `k` times `rounds` passages, the baseline `most` at once."""
    rag: dict[str, Json] = {"corpus": CORPUS, "passage_chars": 600}
    again: dict[str, Json] = {**rag, "k": k, "rounds": rounds}
    drag: dict[str, Json] = {"corpus": CORPUS, "documents": k, "shots": 2, "document_words": 100}
    arms = [
        Arm(name=BASELINE, graph="naive_rag", settings={**rag, "k": most}),
        Arm(name=CLOSED_BOOK, graph="closed_book"),
        Arm(name="auto_rag", graph="auto_rag", settings=again),
        Arm(name="auto_rag structured", graph="auto_rag", settings={**again, "structured": True}),
        Arm(name="ircot", graph="ircot", settings={**again, "most": most}),
        Arm(name="iter_drag", graph="iter_drag", settings={**drag, "iterations": rounds}),
    ]
    arms += [_with_links(arm) for arm in arms if arm.name != CLOSED_BOOK]
    known = [arm.name for arm in arms]
    if unknown := next((name for name in wanted if name not in known), None):
        raise ConfigError(f"no arm is called {unknown!r}", hint=f"some of: {', '.join(known)}")
    return Plan.of(name, [arm for arm in arms if arm.name in (BASELINE, *wanted)], tasks, baseline=BASELINE)


def _with_links(arm: Arm) -> Arm:
    return Arm(name=f"{arm.name} links", graph=arm.graph, settings={**arm.settings, "links": READ})


def shown(reader: Reader, trials: Trials) -> dict[str, Shown]:
    """What each arm that retrieves showed, out of the store."""
    found: dict[str, Shown] = {}
    for arm, own in trials.items():
        titles: dict[str, list[str]] = {}
        searches: dict[str, int] = {}
        stops: dict[str, int] = {}
        for trial in own:
            values = reader.recorded_calls(trial.run_id)
            calls = [values[c.position].value for c in reader.calls(trial.run_id) if c.kind == EFFECT and c.position in values]
            hits = [h for value in calls for h in Retrieval.from_json(cast("Mapping[str, Any]", value)).hits]
            titles[trial.task_id] = list(dict.fromkeys(h.title for h in hits))
            searches[trial.task_id] = len(calls)
            reason = next((d.reason for d in reversed(reader.decisions(trial.run_id))), "none")
            stops[reason] = stops.get(reason, 0) + 1
        if any(searches.values()):
            found[arm] = Shown(titles=titles, searches=searches, stops=stops)
    return found


def recalls(tasks: Sequence[Task], what: Shown, rankings: Mapping[str, Rankings]) -> dict[str, Json]:
    """Recall of the right passages by an arm, by the bare question and by the ceiling, at the same number of passages each."""
    rows: dict[str, list[float]] = {name: [] for name in ("own", "once", "ceiling", "own_part", "once_part")}
    for task in tasks:
        titles, ranked = what.titles.get(task.id, ()), rankings[task.id]
        for name, order in (("own", titles), ("once", ranked.once), ("ceiling", ranked.by_titles)):
            part, every = _support(task, order[: len(titles)])
            rows[name].append(every)
            if name != "ceiling":
                rows[f"{name}_part"].append(part)
    gained = paired_bootstrap(rows["own"], rows["once"])
    room = sum(rows["ceiling"]) - sum(rows["once"])
    return {
        "documents": sum(len(t) for t in what.titles.values()) / len(tasks),
        "searches": sum(what.searches.values()) / len(tasks),
        "all_gold": bootstrap(rows["own"]).to_json(),
        "all_gold_once": bootstrap(rows["once"]).to_json(),
        "all_gold_ceiling": bootstrap(rows["ceiling"]).to_json(),
        "recall": bootstrap(rows["own_part"]).to_json(),
        "recall_once": bootstrap(rows["once_part"]).to_json(),
        "gain": gained.to_json(),
        "gap_closed": (sum(rows["own"]) - sum(rows["once"])) / room if room > 0 else None,
        "stops": dict(what.stops),
    }


@dataclass(frozen=True, kw_only=True)
class Rankings:
    """What is found for one question without a model, as titles, the best first."""

    once: Sequence[str]
    """By the bare question."""
    by_titles: Sequence[str]
    """By the titles of the right passages, one search each, in turn."""


async def ranked(tasks: Sequence[Task], retriever: Retriever) -> dict[str, Rankings]:
    """The rankings of all questions."""
    found: dict[str, Rankings] = {}
    for task in tasks:
        asked = [task.prompt, *_right(task)]
        lists = [[h.title for h in hits] for hits in await retriever.search(asked, k=DEEPEST)]
        found[task.id] = Rankings(once=list(dict.fromkeys(lists[0])), by_titles=in_turn(lists[1:]))
    return found


def _right(task: Task) -> list[str]:
    return [str(title) for title in cast("Sequence[Json]", task.metadata["support"])]


def _support(task: Task, titles: Sequence[str]) -> tuple[float, float]:
    """Share of the right passages among these, and whether all are there; without any, nothing is."""
    if not titles:
        return 0.0, 0.0
    part, every = support_scores(titles, _right(task), k=len(titles))
    return part.value, every.value


def tables(what: Plan, trials: Trials, found: Mapping[str, Mapping[str, Json]]) -> str:
    """Answers, costs, and what was found."""
    from ..compare import report
    from ..compare.summary import summarise

    arms = summarise(what, trials)
    rows = [["ARM", "DOCUMENTS", "SEARCHES", "ALL FOUND", "BY ONE SEARCH", "CEILING", "GAIN", "GAP CLOSED"]]
    for arm, r in found.items():
        cells = [_interval(r[key]) for key in ("all_gold", "all_gold_once", "all_gold_ceiling", "gain")]
        closed = r["gap_closed"]
        share = "-" if closed is None else f"{closed:.2f}"
        rows.append([arm, f"{r['documents']:.1f}", f"{r['searches']:.1f}", *cells, share])
    blocks = (report.accuracy_rows(arms), report.cost_rows(arms, {}), rows)
    lines = [line for block in blocks for line in (*aligned(block), "")]
    stops = [f"{arm} ended: {', '.join(f'{k} {v}' for k, v in _counts(r['stops']))}" for arm, r in found.items()]
    return "\n".join([f"== {what.name}", *lines, *stops, *report.notes(what, arms, [])])


def _counts(stops: Json) -> list[tuple[str, Json]]:
    return sorted(cast("Mapping[str, Json]", stops).items())


def _interval(value: Json) -> str:
    found = cast("Mapping[str, Any]", value)
    return str(Interval(**{k: found[k] for k in ("value", "low", "high")}))


async def measured(order: argparse.Namespace, tasks: Sequence[Task], engine: Engine | None) -> tuple[str, dict[str, Json]]:
    """Build the corpus, carry the comparison out where it is not done yet, and count.

    Raises:
        BurnishError: no data, no engine, no store, or it was stopped; calling again goes on.
    """
    from ..compare import report
    from ..compare.summary import summarise
    from ..traces.store import Store

    retriever = _corpus(order)
    name = f"multihop-{len(tasks)}-{model_label(order.model)}-{order.k}x{order.rounds}-{order.most}"
    wanted = tuple(name for name in str(order.arms).split(",") if name)
    what = plan(tasks, k=order.k, rounds=order.rounds, most=order.most, name=name, wanted=wanted)
    args: dict[str, Json] = {"max_model_len": order.max_model_len, "max_num_seqs": 16}
    url = f"sqlite:///{order.store}"
    trials = await carried_out(url, what, engine, model=order.model, engine_args=args)
    reader = Store.open_reader(url)
    try:
        seen = shown(reader, trials)
    finally:
        reader.close()
    rankings = await ranked(tasks, retriever)
    found = {arm: recalls(tasks, own, rankings) for arm, own in seen.items()}
    listed: dict[str, Json] = {arm: dict(r) for arm, r in found.items()}
    return tables(what, trials, found), {**report.to_json(what, summarise(what, trials)), "found": listed}


def _corpus(order: argparse.Namespace) -> Retriever:
    from ..retrieval.build import build_corpus
    from ..retrieval.corpus import Corpus

    try:
        Corpus.open(CORPUS)
    except BurnishError:
        passages = hotpotqa.passages(hotpotqa.folder_of(order.data))
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "corpus.jsonl"
            write_passages(source, titled(passages))
            build_corpus(CORPUS, source, kind="lexical")
    return open_retriever(CORPUS, "lexical")


def main(arguments: Sequence[str] | None = None, engine: Engine | None = None) -> int:
    """Measure, print the tables, write the results. Returns the exit status."""
    parser = model_parser("multihop", "searching again on multi-hop questions", limit=40, counted="questions", max_model_len=6144)
    parser.add_argument("-k", type=int, default=3, help="passages of one search of a method that searches in rounds")
    parser.add_argument("--rounds", type=int, default=3, help="most searches of such a method")
    parser.add_argument("--most", type=int, default=9, help="passages of the baseline's one search")
    parser.add_argument("--arms", default=",".join(ARMS), help="which of them, beside the baseline")
    order = parser.parse_args(arguments)

    def measure() -> Mapping[str, Json]:
        tasks = chosen_tasks("hotpotqa", order.data, None, order.limit)
        say(power_sentence(len(tasks)))
        text, found = asyncio.run(measured(order, tasks, engine))
        print(text)
        return found

    return carry_out(order, f"multihop-{model_label(order.model)}", measure)


if __name__ == "__main__":
    sys.exit(main())
