"""Ids, content hashes and seeds.

A run's id is a UUIDv7: sortable by time, so that inserts stay local in the index. Every other id is derived
from the run's id and a *position*, the place in the run where the thing comes to be. A re-run therefore writes
the same ids, and inserting twice is harmless. Ids are 32 lower-case hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, cast

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

_TIME_DIGITS = 12


def new_run_id(now_ms: int | None = None) -> str:
    """A fresh UUIDv7 (RFC 9562, section 5.7) as 32 hexadecimal digits."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random = int.from_bytes(os.urandom(10), "big")
    value = (ms & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64 | 0b10 << 62 | random & (2**62 - 1)
    return f"{value:032x}"


@lru_cache(maxsize=4096)  # A call's id is needed for its intent, its result and its candidate.
def derived_id(run_id: str, position: str, kind: str) -> str:
    """The id of the `kind` of thing that stands at `position` of the run: the run's time, then 80 hashed bits."""
    digest = hashlib.blake2b(f"{run_id}\0{kind}\0{position}".encode(), digest_size=10).hexdigest()
    return run_id[:_TIME_DIGITS] + digest


def derived_seed(seed: int, *labels: str | int) -> int:
    """A seed in [0, 2**31) that depends on the run's seed and the labels only, never on order or time."""
    text = "\0".join([str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces, the form that is hashed.

    Raises:
        TypeError: for a value that JSON cannot carry.
        ValueError: for NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def text_hash(text: str) -> str:
    """Content hash of a text: 32 hexadecimal digits of BLAKE2b over its UTF-8 form, lone surrogates escaped."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def json_hash(value: Any) -> str:
    """Content hash of a JSON value, independent of key order."""
    return text_hash(canonical_json(value))


def as_json(value: object) -> Json:
    """`value` as plain JSON: NaN and infinities become None, tuples lists, sets sorted lists, unknown objects their text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value)
        return {str(k): as_json(v) for k, v in items.items()}
    if isinstance(value, list | tuple):
        return [as_json(v) for v in cast("Sequence[object]", value)]
    if isinstance(value, set | frozenset):
        # In an order that is the same in every process: what is hashed of it has to be the same on resume.
        return sorted((as_json(v) for v in cast("Iterable[object]", value)), key=canonical_json)
    return str(value)
