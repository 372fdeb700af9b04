"""Ids, seeds, hashes and claimed positions."""

from __future__ import annotations

import json
import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.claims import Claims
from burnish.core.errors import ConfigError
from burnish.core.ids import as_json, canonical_json, derived_id, derived_seed, json_hash, new_run_id, text_hash

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.integers(0, 2**48 - 1))
def test_a_run_id_is_a_uuid_of_version_7(ms: int) -> None:
    made = new_run_id(ms)
    value = uuid.UUID(hex=made)
    assert value.hex == made
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == ms


def test_run_ids_sort_by_time_and_differ() -> None:
    assert new_run_id(1) < new_run_id(2) < new_run_id()
    assert len({new_run_id(5) for _ in range(1000)}) == 1000


@given(st.text(), st.text(), st.sampled_from(("call", "candidate", "verdict")))
def test_a_derived_id_depends_on_all_it_is_derived_from(a: str, b: str, kind: str) -> None:
    run = new_run_id(7)
    made = derived_id(run, a, kind)
    assert made == derived_id(run, a, kind)
    assert len(made) == 32
    assert int(made, 16) >= 0
    assert made[:12] == run[:12]
    assert (made == derived_id(run, b, kind)) == (a == b)
    assert made != derived_id(new_run_id(7), a, kind)
    assert made != derived_id(run, a, kind + "x")


@given(st.integers(), st.lists(st.text() | st.integers(), max_size=3))
def test_a_seed_is_in_range_and_always_the_same(seed: int, labels: list[str | int]) -> None:
    assert 0 <= derived_seed(seed, *labels) < 2**31
    assert derived_seed(seed, *labels) == derived_seed(seed, *labels)


def test_seeds_of_different_places_differ() -> None:
    assert len({derived_seed(s, f"/c{n}") for s in range(50) for n in range(50)}) == 2500
    assert derived_seed(1, "a", "b") != derived_seed(1, "ab")


@given(JSON)
def test_a_hash_does_not_depend_on_key_order(value: object) -> None:
    def turned(x: object) -> object:
        if isinstance(x, dict):
            return {k: turned(v) for k, v in reversed(list(x.items()))}
        return [turned(v) for v in x] if isinstance(x, list) else x

    assert json_hash(value) == json_hash(turned(value))
    assert json.loads(canonical_json(value)) == value


@given(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
def test_texts_have_hashes_of_their_own_lone_surrogates_included(a: str, b: str) -> None:
    assert (text_hash(a) == text_hash(b)) == (a == b)
    assert text_hash("\ud800") != text_hash("\\ud800")


def test_nan_is_not_hashed_as_if_it_were_a_value() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(math.nan)


def test_anything_becomes_plain_json() -> None:
    value = {1: (math.nan, math.inf, 2.5), "s": {"x"}, "o": uuid.UUID(int=0), "b": True, "n": None}
    assert as_json(value) == {"1": [None, None, 2.5], "s": ["x"], "o": str(uuid.UUID(int=0)), "b": True, "n": None}


@given(JSON)
def test_plain_json_stays_as_it_is(value: object) -> None:
    assert as_json(value) == value


# --- claims ---


def test_a_position_is_used_once() -> None:
    claims = Claims()
    assert claims.keyed("/a") == "/a"
    with pytest.raises(ConfigError, match="/a"):
        claims.keyed("/a")
    assert [claims.numbered("/s") for _ in range(3)] == ["/s0", "/s1", "/s2"]
    with pytest.raises(ConfigError):
        claims.keyed("/s1")


def test_equal_requests_are_numbered_in_turn_but_refused_at_once() -> None:
    claims = Claims()
    first = claims.by_content("/call:x")
    with pytest.raises(ConfigError, match="same time") as error:
        claims.by_content("/call:x")
    assert "key" in error.value.hint
    claims.ended("/call:x")
    second = claims.by_content("/call:x")
    assert (first, second) == ("/call:x", "/call:x.1")
    assert claims.by_content("/call:y") == "/call:y"


def test_a_node_that_runs_again_uses_its_positions_anew() -> None:
    claims = Claims()
    claims.keyed("/node/a")
    claims.numbered("/node/s")
    claims.by_content("/node/call:x")
    claims.cover("/node/search")
    claims.keyed("/node2/a")
    claims.forget("/node")
    assert not claims.has("/node/a")
    assert not claims.has("/node/search/x0")
    assert claims.has("/node2/a")
    assert claims.keyed("/node/a") == "/node/a"
    assert claims.numbered("/node/s") == "/node/s0"
    assert claims.by_content("/node/call:x") == "/node/call:x"


def test_what_lies_under_a_covered_position_counts_as_used() -> None:
    claims = Claims()
    claims.cover("/search")
    assert claims.has("/search")
    assert claims.has("/search/x0/generate")
    assert not claims.has("/search2")


def test_a_set_is_the_same_json_in_every_process() -> None:
    assert as_json({"b", "a", "c"}) == as_json(frozenset("cab")) == ["a", "b", "c"]
    assert as_json({2, "x", (1, 2)}) == ["x", 2, [1, 2]]
