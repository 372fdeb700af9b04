"""What a journal answers from the record that it holds: the half that all journals share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.policy import Selection
from ..core.records import RecordedCall
from ..core.text import storable
from ..core.verdict import Verdict
from .load import Recorded


class Recall:
    """Reads one run's record, by position."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def call(self, position: str) -> RecordedCall | None:
        """The call recorded at a position; its state is `intent` if no result is known."""
        return self._recorded.call(storable(position))

    def verdict(self, position: str) -> Verdict | None:
        """The verdict recorded at a position."""
        return self._recorded.verdicts.get(storable(position))

    def decision(self, position: str) -> Selection | None:
        """The choice recorded at a search's scope."""
        return self._recorded.decisions.get(storable(position))

    def told(self, scope: str) -> Sequence[str]:
        """Ids told within a search, in their order, as of now."""
        return tuple(self._recorded.tells.get(storable(scope), ()))

    def step_done(self, position: str) -> bool:
        """Whether the node at a position is recorded as finished."""
        return storable(position) in self._recorded.steps_done

    def unclaimed(self, step: str, used: Callable[[str], bool]) -> str | None:
        """A finished call recorded within a step, or with an empty `step` within the run, that was not `used`; or None.

        Refused and cancelled calls do not count: whether they were made depends on what landed first.
        """
        steps = self._recorded.call_steps
        for positions in steps.values() if not step else [steps.get(storable(step), ())]:
            for position in positions:
                if not used(position) and self._recorded.state(position) in ("ok", "error"):
                    return position
        return None
