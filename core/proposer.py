"""The proposer protocol: what makes one completion for each expansion that a policy asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .candidate import Candidate
from .completion import Completion
from .context import Context
from .policy import Expansion
from .verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One candidate that is asked for."""

    expansion: Expansion
    parents: tuple[Candidate, ...] = ()
    """The candidates to make it from."""
    verdicts: tuple[Verdict | None, ...] = ()
    """For each parent what was said of it; None if nothing was."""


class Proposer(Protocol):
    """Makes completions. Given `continue`, the completion is what follows the parent's text."""

    async def propose(self, ctx: Context, proposal: Proposal) -> Completion:
        """One completion, by as many calls as it takes; `ctx` is a scope of its own.

        Raises:
            GenerationFailed: no completion came out; the candidate is lost, the search goes on.
        """
        ...
