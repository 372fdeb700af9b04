"""A retrieval as an effect of a run: searched once, and read from the record when the run goes on.

The record holds the query, what decides on the hits (the retriever's identity with the corpus's content hash), and ids, ranks,
scores and texts of what was found. Texts are recorded too, because a corpus can be dropped and a server can change: a run
that goes on sees what it saw.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core.context import Context
from ..core.errors import RetrievalFailed
from ..core.ids import Json, as_json
from .passage import Hit
from .retriever import MOST_QUERY, Retriever, prepared

EFFECT = "retrieve"
"""The kind of the effect, as the record names it."""
OnFailure = Literal["raise", "record"]


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """What one search of a run found."""

    query: str
    """As it was searched for."""
    hits: tuple[Hit, ...] = ()
    cut: bool = False
    """Whether the query was longer than what is searched for."""
    error_code: str = ""
    """Why there are no hits, if the search failed and that was to be recorded."""
    error: str = ""

    def to_json(self) -> dict[str, Json]:
        """The value of the effect. Short things go first in the order of names, which is how values are shown."""
        documents = [{"id": h.id, "rank": h.rank, "score": h.score} for h in self.hits]
        value: dict[str, Json] = {"asked": self.query, "documents": documents}
        if self.cut:
            value["cut"] = True
        if self.error_code:
            value |= {"error": self.error, "error_code": self.error_code}
        return {**value, "texts": [[h.title, h.text] for h in self.hits]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Retrieval:
        """The retrieval that a recorded value tells of."""
        pairs = zip(value["documents"], value["texts"], strict=True)
        hits = tuple(Hit(d["id"], title, text, d["score"], d["rank"]) for d, (title, text) in pairs)
        return Retrieval(
            query=value["asked"],
            hits=hits,
            cut=bool(value.get("cut")),
            error_code=value.get("error_code", ""),
            error=value.get("error", ""),
        )


async def retrieve(
    ctx: Context,
    retriever: Retriever,
    query: str,
    k: int,
    exclude: Collection[str] = (),
    *,
    key: str | None = None,
    on_failure: OnFailure = "raise",
) -> Retrieval:
    """Search once within a run, recorded. Searches with equal arguments that run at the same time need a `key` each.

    A search that fails ends the run with `raise`, and is done anew when the run is resumed; do not catch the error within the
    run, since nothing of it is recorded. With `record` the failure is the recorded result: no hits, and `error_code` says why.

    Raises:
        RetrievalFailed: the search failed, and `on_failure` is `raise`.
        Cancelled: the run, or this part of it, is to end.
        ReplayMismatch: the record holds another search at this position, or one of another corpus.
    """
    asked, cut = prepared(query), len(query) > MOST_QUERY
    request: dict[str, Json] = {
        "query": asked,
        "retriever": as_json(retriever.identity),
        "k": k,
        "exclude": sorted(exclude),
    }

    async def perform() -> dict[str, Json]:
        try:
            found = await ctx.stop.race(retriever.search([asked], k, exclude))
        except RetrievalFailed as e:
            if on_failure == "raise":
                raise
            return Retrieval(query=asked, cut=cut, error_code=e.code, error=e.message).to_json()
        return Retrieval(query=asked, cut=cut, hits=tuple(found[0])).to_json()

    return Retrieval.from_json(await ctx.effect(EFFECT, request, perform, key=key, reads=True))
