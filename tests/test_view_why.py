"""Why a candidate was dropped, in the viewer's words: never that it is no better than the chosen one where it is."""

from __future__ import annotations

import pytest

from burnish.view.why import reasons
from tests.drawing_kit import candidate, decision, verdict


@pytest.mark.parametrize(
    ("score", "why"),
    [
        (0.2, "dropped: fail 0.20; the chosen one: fail 0.50"),
        (0.5, "dropped: fail 0.50, no better than the chosen one"),
        (0.8, "dropped: fail 0.80; the chosen one: fail 0.50 (last)"),
    ],
)
def test_a_dropped_candidate_is_held_against_the_chosen_one(score, why):
    dropped, chosen = candidate(1), candidate(2)
    said = {dropped.id: [verdict(dropped, "fail", score)], chosen.id: [verdict(chosen, "fail", 0.5)]}
    told = reasons([dropped, chosen], said, [decision(chosen, reason="last")], {}, chosen.id)
    assert told == {dropped.id: why, chosen.id: "returned: best_of_n took it (last)"}
