"""The context: what a run gives to its agents, verifiers, searches and graph nodes.

Every effect of a run goes through here. A context knows where in the run it is (its position), so that each effect
has a key under which the journal keeps it; on resume the same code at the same position gets the recorded result.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from .budget import Ledger, Spend
from .candidate import Candidate, Kind
from .claims import Claims
from .completion import Completion, TokenCounts, Watch
from .engine import Engine, most_usd, require
from .errors import (
    BudgetExhausted,
    BurnishError,
    Cancelled,
    ConfigError,
    EngineUnavailable,
    GenerationFailed,
    ReplayMismatch,
    StoreError,
    Waiting,
)
from .human import ASK, Asker, Question, QuestionKind, Reply, Traffic, asked
from .ids import Json, as_json, derived_id, derived_seed, json_hash
from .journal import Journal
from .prompt import Message, Prompt
from .rank import rank
from .records import CallState, Intent, Judged, Outcome, Record, RecordedCall
from .sampling import Sampling
from .stop import Stop
from .task import Task
from .text import one_line
from .verdict import Verdict, Verifier
from .verify import judge

_TAKEN = ("generate", "score", ASK)
_NOTHING, _ONE_VERDICT = Spend(), Spend(verifier_calls=1)


@dataclass
class Run:
    """What all contexts of one run share."""

    task: Task
    seed: int
    journal: Journal
    engines: Mapping[str, Engine]
    """Engines by role; `default` serves every role that has none of its own."""
    ledger: Ledger
    stop: Stop = field(default_factory=Stop)
    claims: Claims = field(default_factory=Claims)
    locate: Callable[[], tuple[str, ...]] = lambda: ()
    """Names of the graph nodes that the calling code runs within, outermost first."""
    candidates: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    """By id, all that the run has made."""
    verdicts: dict[str, Verdict] = field(default_factory=dict[str, Verdict])
    """By candidate id, the newest verdict of a verifier that is no grader."""
    best: Candidate | None = None
    """The candidate that most speaks for so far; what a run returns whose budget ends it."""
    limit: str = ""
    """The limit of the budget that was met; empty if none was."""
    asker: Asker | None = None
    """Asks a person at once; None lets the run wait for the reply."""
    waiting: Waiting | None = None
    """Set once a question has ended this execution of the run."""
    traffic: Traffic = field(default_factory=Traffic)
    _best_rank: tuple[int, float] = (-1, 0.0)

    def note(self, candidate: Candidate, verdict: Verdict | None = None) -> None:
        """Remember a candidate, and what was said of it, if it is the best so far."""
        self.candidates[candidate.id] = candidate
        if verdict:
            self.verdicts[candidate.id] = verdict
        said = verdict or self.verdicts.get(candidate.id)
        stands = rank(said.outcome, said.score) if said else rank("abstain", None)
        if candidate.partial:
            stands = (-1, 0.0)  # The beginning of an answer is better than none, and than nothing else.
        if self.best is None or stands > self._best_rank or candidate.id == self.best.id:
            self.best, self._best_rank = candidate, stands


@dataclass(slots=True, eq=False)
class Context:
    """One place in a run; never changed. Cheap to make, safe to share between tasks of one event loop."""

    run: Run
    base: str = ""
    """Position of the scope that this context was opened for; empty for the run's root."""
    depth: int = 0
    """How many of the located nodes lie outside of that scope."""
    stop: Stop = field(default_factory=Stop)
    """Asks this part of the run to end."""
    purpose: str = ""
    """`verifier` within a verifier's own calls."""
    queued: bool = False
    """Within a search: results are queued to be written and not waited for. Nobody outside sees one before a later record
    is durable, and that vouches for all that were written before it."""

    @property
    def task(self) -> Task:
        """The task of the run."""
        return self.run.task

    @property
    def position(self) -> str:
        """Where the calling code is: the scope, then the graph nodes within it."""
        return self._position(self.run.locate())

    def _position(self, nodes: tuple[str, ...]) -> str:
        return "/".join((self.base, *nodes[self.depth :])) if len(nodes) > self.depth else self.base

    def scope(self, name: str | None = None, *, stop: Stop | None = None, queued: bool = False) -> Context:
        """A context one level down. Without a name it is numbered, in the order of opening.

        Open one for each part that runs beside others, such as each of several invocations of one subgraph.

        Raises:
            ConfigError: the name is taken at this position.
        """
        nodes, claims = self.run.locate(), self.run.claims
        here = self._position(nodes)
        base = claims.numbered(f"{here}/s") if name is None else claims.keyed(f"{here}/{name}")
        return Context(self.run, base, len(nodes), stop or self.stop, self.purpose, queued or self.queued)

    def engine(self, role: str) -> Engine:
        """The engine that serves a role.

        Raises:
            EngineUnavailable: the session has neither one for the role nor a default.
        """
        engine = self.run.engines.get(role) or self.run.engines.get("default")
        if engine is None:
            raise EngineUnavailable(f"no engine serves the role {role!r}", hint="Session(engine=...) or engines={'default': ...}")
        return engine

    def seed(self, *labels: str | int) -> int:
        """A seed that depends on the run's seed, this position and the labels only."""
        return derived_seed(self.run.seed, self.position, *labels)

    def id(self, kind: str, position: str | None = None) -> str:
        """The id of the `kind` of thing at a position, this one by default."""
        return derived_id(self.run.journal.run_id, self.position if position is None else position, kind)

    async def generate(
        self,
        prompt: Prompt | str | Sequence[Message],
        sampling: Sampling | None = None,
        *,
        role: str = "proposer",
        key: str | None = None,
        watch: Watch | None = None,
    ) -> Completion:
        """One sample from the engine of a role, recorded.

        Without a `key` the call is known by its content; calls with equal content that run at the same time need one.

        Raises:
            GenerationFailed: this call failed.
            EngineUnavailable: there is no engine any more; the run can be resumed.
            BudgetExhausted: the budget does not allow it.
            Cancelled: the run, or this part of it, is to end.
            ReplayMismatch: the record holds another request at this position.
        """
        engine, prompt, sampling = self.engine(role), Prompt.of(prompt), sampling or Sampling()
        info = engine.info
        require(engine, (*sampling.needs, *prompt.needs), why=f"a call of the {role}")
        request, digest = _described(role, info.model, prompt, sampling)
        with _Claimed(self, "generate", digest, key) as position:
            if sampling.seed is None:
                sampling = sampling.seeded(derived_seed(self.run.seed, position))
            held = self._most(engine, prompt, sampling) if self.run.ledger.limited else None
            intent = Intent(
                position=position,
                step="/".join(("", *self.run.locate())),
                kind="generate",
                request_hash=digest,
                request=request,
                role=role,
                purpose=self.purpose,
                engine=info.kind,
                model=info.model,
                prompt=prompt,
                sampling=sampling,
                reserved=held,
            )
            done = await self._call(intent, held, lambda: engine.generate(prompt, sampling, watch=watch, stop=self.stop))
            assert done.completion is not None
            return done.completion.of_call(self.id("call", position))

    async def effect(self, kind: str, request: Json, perform: Callable[[], Awaitable[Any]], *, key: str | None = None) -> Any:
        """Do something once: on resume the recorded value is returned and `perform` is not called.

        For what a node does besides calling models: ask a clock, a tool, a service. The value must be plain JSON.

        Raises:
            ReplayMismatch: the record holds another request at this position.
        """
        if kind in _TAKEN:
            raise ConfigError(f"an effect cannot be called {kind!r}", hint="there are ctx.generate and ctx.ask for that")
        digest = json_hash({"kind": kind, "request": as_json(request)})
        with _Claimed(self, kind, digest, key) as position:
            step = "/".join(("", *self.run.locate()))
            intent = Intent(position=position, step=step, kind=kind, request_hash=digest, request=request, purpose=self.purpose)
            return (await self._call(intent, None, perform)).value

    async def ask(
        self, text: str, *, kind: QuestionKind = "text", about: str = "", options: Sequence[str] = (), key: str | None = None
    ) -> Reply:
        """Ask a person, once. Without a reply the run ends as `waiting`, and comes by here again when it goes on.

        Args:
            text: the question.
            kind: `approve`, `choose`, `edit` or `text`.
            about: what it is about; with `edit`, what is to be edited.
            options: what can be chosen.
            key: needed where questions with equal content are asked at the same time.

        Raises:
            Waiting: there is no reply yet; not to be caught.
            ReplayMismatch: the record holds another question at this position.
        """
        question = Question(text=text, kind=kind, about=about, options=tuple(options))
        request = question.to_json()
        digest = json_hash({"kind": ASK, "request": request})
        with _Claimed(self, ASK, digest, key) as position:
            step = "/".join(("", *self.run.locate()))
            intent = Intent(position=position, step=step, kind=ASK, request_hash=digest, request=request, purpose=self.purpose)
            return Reply.from_json((await self._call(intent, None, lambda: self._reply(question))).value)

    async def _reply(self, question: Question) -> Json:
        run = self.run
        reply = await self.stop.race(asked(run.asker, question)) if run.asker else None
        if reply is not None:
            return reply.to_json()
        await self.stop.race(run.traffic.over())
        run.waiting = Waiting(f"waits for an answer: {one_line(question.text, 200)}")
        raise run.waiting

    async def verify(self, verifier: Verifier, candidate: Candidate, *, key: str = "", grading: bool = False) -> Verdict:
        """Have a verifier judge a candidate, recorded. A verifier that raises abstains.

        With `grading` the verdict only measures: it is not charged to the budget.
        """
        label = f"g.{verifier.name}" if grading else f"v.{verifier.name}"
        position = f"{candidate.position or self.position}/{label}{'.' + key if key else ''}"
        if recorded := self.run.journal.verdict(position):
            self.run.claims.cover(position)
            if not grading:
                self.run.note(candidate, recorded)
            return recorded
        want, actual = _NOTHING if grading else _ONE_VERDICT, _NOTHING
        await self.run.ledger.reserve(want, self.stop)
        began = time.perf_counter()
        try:
            inner = Context(self.run, position, len(self.run.locate()), self.stop, "verifier", self.queued)
            verdict = await judge(verifier, self.task, candidate, inner)
            actual = want
        finally:
            await self.run.ledger.settle(want, actual)
        judged = Judged(
            position=position,
            candidate_id=candidate.id,
            verifier=verifier.name,
            version=verifier.version,
            oracle=verifier.oracle,
            verdict=verdict,
            seconds=time.perf_counter() - began,
            grading=grading,
        )
        await self._settle(judged)
        if not grading:
            self.run.note(candidate, verdict)
        return verdict

    async def add(
        self,
        completion: Completion,
        *,
        key: str | None = None,
        kind: Kind = "fresh",
        parents: Sequence[Candidate] = (),
        answer: str | None = None,
    ) -> Candidate:
        """Make a completion a candidate of this run, so that it can be verified, selected and looked up."""
        here = self.position
        position = self.run.claims.keyed(f"{here}/{key}") if key else self.run.claims.numbered(f"{here}/c")
        candidate = replace(
            Candidate.from_completion(completion, id=self.id("candidate", position), position=position, answer=answer),
            kind=kind,
            parents=tuple(p.id for p in parents),
            depth=max((p.depth + 1 for p in parents), default=0),
        )
        self.run.journal.queue(candidate)
        self.run.note(candidate)
        return candidate

    async def _settle(self, record: Record) -> None:
        if self.queued:
            self.run.journal.queue(record)
        else:
            await self.run.journal.write(record)

    def _most(self, engine: Engine, prompt: Prompt, sampling: Sampling) -> Spend:
        """The most that a call may cost, to be held until it is through."""
        most, budget = sampling.max_tokens, self.run.ledger.budget
        asked = engine.count_tokens(prompt) if budget.tokens is not None or budget.usd is not None else 0
        usd = most_usd(engine, asked, most) if budget.usd is not None else 0.0
        return Spend(calls=1, tokens=asked + most, output_tokens=most, usd=usd or 0.0)

    async def _call(self, intent: Intent, held: Spend | None, perform: Callable[[], Awaitable[Any]]) -> RecordedCall | Outcome:
        recorded = self.run.journal.call(intent.position)
        if recorded and recorded.request_hash != intent.request_hash:
            raise ReplayMismatch(
                f"the {intent.kind} call at {intent.position} differs from the recorded one",
                position=intent.position,
                hint="code, settings or model changed since; start a new run",
            )
        if recorded and recorded.state != "intent":
            return _replayed(recorded, intent)
        if recorded is None and self.run.journal.step_done(intent.step) and "#" not in intent.step:
            raise ReplayMismatch(
                f"the record of the finished node {intent.step} has no {intent.kind} call at {intent.position}",
                position=intent.position,
                hint="code or settings changed since; start a new run",
            )
        if self.stop.requested or self.run.stop.requested:
            raise Cancelled(f"stopped: {self.stop.reason or self.run.stop.reason}")
        if not intent.engine:
            return _replayed(await self._perform(intent, held, perform), intent)
        with self.run.traffic:
            return _replayed(await self._perform(intent, held, perform), intent)

    async def _perform(self, intent: Intent, held: Spend | None, perform: Callable[[], Awaitable[Any]]) -> Outcome:
        if held is None:
            await self.run.journal.write(intent)
            outcome = await self._attempt(intent, perform)
            await self._settle(outcome)
            return outcome
        ledger, spent = self.run.ledger, _NOTHING
        try:
            await ledger.reserve(held, self.stop)
        except BudgetExhausted as e:
            self.run.limit = e.limit
            refusal = Outcome(position=intent.position, state="refused", error_code=e.limit, error=e.message)
            await self.run.journal.write(replace(intent, reserved=None), refusal)
            raise
        try:
            await self.run.journal.write(intent)
            outcome = await self._attempt(intent, perform)
            spent = outcome.spent or _NOTHING
            await self._settle(outcome)
        finally:
            await ledger.settle(held, spent)
        return outcome

    async def _attempt(self, intent: Intent, perform: Callable[[], Awaitable[Any]]) -> Outcome:
        began = time.perf_counter()
        try:
            result = await perform()
        except GenerationFailed as e:
            return _ended(intent, "error", began, error_code=e.code, error=e.message)
        except (BurnishError, asyncio.CancelledError):
            raise
        except Exception as e:
            if intent.kind != "generate":
                raise
            return _ended(intent, "error", began, error_code="engine_error", error=f"{type(e).__name__}: {e}")
        if not isinstance(result, Completion):
            return _ended(intent, "ok", began, value=as_json(cast(object, result)))
        if result.finish_reason == "aborted" and self.run.stop.requested:
            raise Cancelled(f"stopped: {self.run.stop.reason}")
        cancelled = result.finish_reason == "aborted" and self.stop.requested
        return _ended(intent, "cancelled" if cancelled else "ok", began, completion=result)


class _Claimed:
    """Holds the position of one call while it runs."""

    def __init__(self, ctx: Context, kind: str, digest: str, key: str | None) -> None:
        self._claims, here = ctx.run.claims, ctx.position
        self._stem = None if key else f"{here}/{kind}:{digest[:12]}"
        self._position = self._claims.by_content(self._stem) if self._stem else self._claims.keyed(f"{here}/{key}")

    def __enter__(self) -> str:
        return self._position

    def __exit__(self, *_: object) -> None:
        if self._stem:
            self._claims.ended(self._stem)


def _replayed(done: RecordedCall | Outcome, intent: Intent) -> RecordedCall | Outcome:
    """A call's result, or its failure raised."""
    match done.state:
        case "error":
            raise GenerationFailed(done.error, code=done.error_code)
        case "refused":
            raise BudgetExhausted(done.error, limit=done.error_code)
        case _:
            if intent.kind == "generate" and done.completion is None:
                raise StoreError(
                    f"the recorded completion at {intent.position} is missing", hint="restore the store from a backup"
                )
            return done


def _ended(intent: Intent, state: CallState, began: float, **how: Any) -> Outcome:
    """The outcome of a call that was sent, with what it spent where that is counted."""
    took, spent = time.perf_counter() - began, None
    if intent.reserved:
        completion: Completion | None = how.get("completion")
        tokens = completion.tokens if completion else TokenCounts()
        cost = completion.cost_usd if completion else 0.0
        spent = Spend(calls=1, tokens=tokens.total, output_tokens=tokens.completion, usd=cost)
    return Outcome(position=intent.position, state=state, seconds=took, spent=spent, **how)


def _described(role: str, model: str, prompt: Prompt, sampling: Sampling) -> tuple[dict[str, Json], str]:
    """What a call asks for, and its hash. Samples of one prompt are alike, so the newest are kept at hand."""
    try:
        return _described_once(role, model, prompt, sampling)
    except TypeError:  # A JSON Schema cannot be hashed.
        return _described_once.__wrapped__(role, model, prompt, sampling)


@lru_cache(maxsize=256)
def _described_once(role: str, model: str, prompt: Prompt, sampling: Sampling) -> tuple[dict[str, Json], str]:
    request: dict[str, Json] = {"role": role, "model": model, "sampling": sampling.to_json()}
    return request, json_hash({**request, "prompt": prompt.to_json()})
