"""From records to rows. The encoder runs on the writer's thread; what it made for a transaction that failed is taken back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..core.budget import Spend
from ..core.candidate import Candidate
from ..core.completion import Completion
from ..core.errors import StoreError
from ..core.ids import Json, canonical_json, derived_id
from ..core.prompt import Prompt
from ..core.records import Decided, Intent, Judged, Outcome, Record, StepEnd, StepStart, Told
from ..core.redact import redact, redact_said, redact_text
from ..core.text import storable
from .codec import json_text, pack_ids, pack_logprobs, text_bytes
from .pending import Pending, Row
from .run_state import RunState

PREVIEW = 200
"""Characters of a text that are stored in the clear beside its hash."""
FEEDBACK = 2000
"""Characters of feedback, errors and evidence stored in the clear; the rest only in a blob."""


class Encoder(Pending):
    """Makes the rows of records."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: dict[tuple[str, Prompt | None], tuple[str, str | None]] = {}
        self._encoders: dict[type, Callable[[RunState, Any, int], None]] = {
            StepStart: self._step_start,
            StepEnd: self._step_end,
            Intent: self._intent,
            Outcome: self._outcome,
            Candidate: self._candidate,
            Judged: self._judged,
            Decided: self._decided,
            Told: self._told,
        }

    def add(self, state: RunState, records: Sequence[Record], at_ns: int) -> None:
        """Add the rows of records that belong together. If one cannot be encoded, none of them is added."""
        rows, undo = len(self.rows), len(self._undo)
        self._undo.append((state, None, state.seq))
        try:
            for record in records:
                self._encoders[type(record)](state, record, at_ns)
        except Exception:
            del self.rows[rows:]
            self._take_back(undo)
            raise

    def _step_start(self, state: RunState, r: StepStart, at: int) -> None:
        key, step_id = f"s{r.position}", derived_id(state.run_id, r.position, "step")
        seq = self._new(state, key)
        if seq is None:
            times = state.known[key] + 1
            self._mark(state, key, times)
            self.rows.append(("step_restart", (times, step_id)))
            return
        position = storable(r.position)
        row = (step_id, state.run_id, seq, None, position, storable(r.node), storable(r.parent), "running", 1, at, None, "", "")
        self.rows.append(("step", row))

    def _step_end(self, state: RunState, r: StepEnd, at: int) -> None:
        if f"s{r.position}" not in state.known:
            raise StoreError(f"the step {r.position} ends and never began", hint="write StepStart first", code="record")
        key = f"e{r.position}"
        ended_seq = self._new(state, key)
        if ended_seq is None:
            ended_seq = state.known[key]
        else:
            state.known[key] = ended_seq
        step_id = derived_id(state.run_id, r.position, "step")
        self.rows.append(("step_end", (ended_seq, r.status, at, r.error_code, _short(r.error), step_id)))

    def _intent(self, state: RunState, r: Intent, at: int) -> None:
        key, call_id = f"c{r.position}", derived_id(state.run_id, r.position, "call")
        seq = self._new(state, key)
        if seq is None:
            times = state.known[key] + 1
            self._mark(state, key, times)
            self.rows.append(("call_attempt", (times, call_id)))
            return
        position, prompt = storable(r.position), r.prompt
        request_sha, prompt_sha = self._request(r, prompt)
        seed = r.sampling.seed if r.sampling else None
        head = (call_id, state.run_id, seq, None, position, storable(r.step), storable(r.kind), storable(r.role), r.purpose)
        what = (r.engine, storable(r.model), "intent", 1, r.request_hash, request_sha, prompt_sha, seed)
        rest = (None, None, None, None, None, None, None, 0, 0, 0, 0, 0, "", "", at, None)
        self.rows.append(("call", head + what + rest))
        if r.reserved:
            self._budget(state, position, "reserve", seq, r.reserved)

    def _request(self, r: Intent, prompt: Prompt | None) -> tuple[str, str | None]:
        """Keys of request and prompt. Samples of one prompt share both, so the newest are kept at hand."""
        if len(self._requests) > 1000:
            self._requests.clear()
        key = (r.request_hash, prompt)
        found = self._requests.get(key)
        if found and all(sha is None or sha in self._stored or sha in self.blobs for sha in found):
            return found
        request: Json = r.request if r.engine else redact(r.request)
        if r.sampling and not (isinstance(request, dict) and "sampling" in request):
            request = {"request": request, "sampling": r.sampling.but(seed=None).to_json()}
        request_sha = self.blob(text_bytes(json_text(request)))
        prompt_sha = self.blob(text_bytes(canonical_json(prompt.to_json()))) if prompt else None
        self._requests[key] = request_sha, prompt_sha
        return request_sha, prompt_sha

    def _outcome(self, state: RunState, r: Outcome, at: int) -> None:
        if f"c{r.position}" not in state.known:
            raise StoreError(f"the call {r.position} ends and never began", hint="write Intent first", code="record")
        ended_seq = self._new(state, f"o{r.position}")
        if ended_seq is None:
            return
        call_id = derived_id(state.run_id, r.position, "call")
        result = self._completion(r.completion) if r.completion else _NO_COMPLETION
        value = None if r.value is None else self.blob(text_bytes(json_text(r.value)))
        tokens = (value, *result[6:])
        end = (r.error_code, _short(r.error), _finite(r.seconds), call_id)
        self.rows.append(("call_outcome", (ended_seq, r.state, *result[:6], *tokens, *end)))
        if r.spent:
            self._budget(state, storable(r.position), "settle", ended_seq, r.spent)

    def _completion(self, c: Completion) -> Row:
        ids = None if c.token_ids is None else self.blob(pack_ids(c.token_ids))
        has_detail = c.logprobs is not None or c.top_logprobs is not None
        detail = self.blob(pack_logprobs(c.logprobs, c.top_logprobs)) if has_detail else None
        t = c.tokens
        texts = (c.finish_reason, _preview(c.text), self.text(c.text), self.text(c.reasoning), ids, detail)
        return (*texts, t.prompt, t.cached, t.completion, t.reasoning, micro_usd(c.cost_usd))

    def _candidate(self, state: RunState, r: Candidate, at: int) -> None:
        seq = self._new(state, f"k{r.position}")
        if seq is None:
            return
        ids = None if r.token_ids is None else self.blob(pack_ids(r.token_ids))
        answer, answer_sha = self._capped(r.answer, PREVIEW)
        origin = (r.kind, r.parents[0] if r.parents else None, r.depth, r.call_id, r.finish_reason, r.partial)
        texts = (_preview(r.text), self.text(r.text) or self.blob(b""), self.text(r.reasoning))
        head = (r.id, state.run_id, seq, storable(r.position))
        self.rows.append(("candidate", (*head, *origin, answer, answer_sha, *texts, ids, at)))
        for number, parent in enumerate(r.parents):
            self.rows.append(("candidate_parent", (r.id, number, parent)))

    def _judged(self, state: RunState, r: Judged, at: int) -> None:
        seq = self._new(state, f"v{r.position}")
        if seq is None:
            return
        v = r.verdict
        feedback, feedback_sha = self._capped(v.feedback, FEEDBACK)
        # What a verifier raised may quote anything.
        evidence = json_text(redact_said(v.evidence) if v.outcome == "abstain" else v.evidence) if v.evidence else "{}"
        evidence_sha = None
        if len(evidence) > FEEDBACK:
            evidence, evidence_sha = "{}", self.blob(text_bytes(evidence))
        verdict_id = derived_id(state.run_id, r.position, "verdict")
        head = (verdict_id, state.run_id, seq, storable(r.position), r.candidate_id, storable(r.verifier), storable(r.version))
        judgement = (r.oracle, r.grading, v.outcome, v.score, storable(v.reason), feedback, feedback_sha)
        rest = (storable(evidence), evidence_sha, v.valid_prefix, _finite(r.seconds), at)
        self.rows.append(("verdict", head + judgement + rest))

    def _decided(self, state: RunState, r: Decided, at: int) -> None:
        seq = self._new(state, f"d{r.position}")
        if seq is None:
            return
        s = r.selection
        head = (derived_id(state.run_id, r.position, "decision"), state.run_id, seq, storable(r.position), storable(r.policy))
        details, options = storable(json_text(s.details)), storable(json_text(r.options))
        chosen = (s.id, r.candidate_id, storable(s.reason), _finite(s.confidence), details, options, at)
        self.rows.append(("decision", head + chosen))

    def _told(self, state: RunState, r: Told, at: int) -> None:
        seq = self._new(state, f"t{r.scope}\n{r.number}")
        if seq is not None:
            self.rows.append(("tell", (state.run_id, storable(r.scope), r.number, seq, storable(r.id))))

    def _budget(self, state: RunState, position: str, kind: str, seq: int, amount: Spend) -> None:
        amounts = (amount.calls, amount.tokens, amount.output_tokens, amount.verifier_calls, micro_usd(amount.usd))
        self.rows.append(("budget_entry", (state.run_id, position, kind, seq, *amounts)))

    def _capped(self, text: str | None, limit: int) -> tuple[str | None, str | None]:
        """A text in the clear, and the key of its whole if the clear one is not it."""
        if text is None:
            return None, None
        clear = storable(text[:limit])
        return clear, None if clear == text else self.blob(text_bytes(text))


_NO_COMPLETION: Row = (None, None, None, None, None, None, 0, 0, 0, 0, 0)


def micro_usd(usd: float) -> int:
    """US dollars as whole millionths."""
    return round(usd * 1e6)


def _preview(text: str) -> str:
    return storable(text[:PREVIEW])


def _short(error: str) -> str:
    return storable(redact_text(error)[:FEEDBACK])


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
