"""The context: what a run gives to its agents, verifiers, searches and graph nodes.

Every effect of a run goes through here. A context knows where in the run it is (its position), so that each effect
has a key under which the journal keeps it; on resume the same code at the same position gets the recorded result.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Any

from .budget import Spend
from .call import Perform, call
from .candidate import Candidate, Kind
from .claims import Claimed
from .completion import Completion, Watch
from .engine import Engine, require
from .errors import ConfigError, EngineUnavailable, Waiting
from .human import ASK, Question, QuestionKind, Reply, asked
from .ids import Json, as_json, derived_id, derived_seed, json_hash
from .prompt import Message, Prompt
from .records import Intent, Judged
from .request import described, most_spend
from .run import Run
from .sampling import Sampling
from .stop import Stop
from .task import Task
from .text import one_line
from .verdict import Verdict, Verifier
from .verify import judge

_TAKEN = ("generate", "score", ASK)
_NOTHING, _ONE_VERDICT = Spend(), Spend(verifier_calls=1)


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
        request, digest = described(role, info.model, prompt, sampling)
        with Claimed(self.run.claims, self.position, "generate", digest, key) as position:
            if sampling.seed is None:
                sampling = sampling.seeded(derived_seed(self.run.seed, position))
            held = most_spend(engine, self.run.ledger.budget, prompt, sampling) if self.run.ledger.limited else None
            intent = Intent(
                position=position,
                step=self.run.step,
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
            done = await call(self, intent, held, lambda: engine.generate(prompt, sampling, watch=watch, stop=self.stop))
            assert done.completion is not None
            return done.completion.of_call(self.id("call", position))

    async def effect(self, kind: str, request: Json, perform: Perform, *, key: str | None = None, reads: bool = False) -> Any:
        """Do something once: on resume the recorded value is returned and `perform` is not called.

        For what a node does besides calling models: ask a clock, a tool, a service. The value must be plain JSON. `reads` says
        that it changes nothing, so that it does no harm if a kill has it done again and nobody knows of the first time.

        Raises:
            ReplayMismatch: the record holds another request at this position.
            ConfigError: the kind has another meaning, or `perform` returns nothing to await.
        """
        if kind in _TAKEN:
            raise ConfigError(f"an effect cannot be called {kind!r}", hint="there are ctx.generate and ctx.ask for that")

        def begin() -> Awaitable[Any]:
            begun: object = perform()
            if not isawaitable(begun):
                raise ConfigError(f"what performs the effect {kind!r} returns nothing to await", hint="make it an async def")
            return begun

        return await self._once(kind, request, begin, key, reads)

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
        return Reply.from_json(await self._once(ASK, question.to_json(), lambda: self._reply(question), key))

    async def _once(self, kind: str, request: Json, perform: Perform, key: str | None, reads: bool = False) -> Any:
        request = as_json(request)
        digest = json_hash({"kind": kind, "request": request})
        with Claimed(self.run.claims, self.position, kind, digest, key) as position:
            intent = Intent(
                position=position, step=self.run.step, kind=kind, request_hash=digest, request=request, purpose=self.purpose
            )
            return (await call(self, intent, None, perform, reads=reads)).value

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
        await self.run.settle(judged, queued=self.queued)
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
