"""The sandbox's parts: which layers there are, what is refused without them, and how values cross the border."""

import contextlib
import dataclasses
import json
import os
import struct
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.errors import ConfigError
from burnish.verifiers.sandbox import layers as found
from burnish.verifiers.sandbox import program, seccomp, values, wire
from burnish.verifiers.sandbox.isolation import Layers
from burnish.verifiers.sandbox.limits import Limits


def nothing(value):
    raise AssertionError(f"{value!r} is plain")


def crossed(value):
    return values.decode(values.encode(value, nothing), nothing)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
HASHABLE = st.recursive(SCALARS, lambda s: st.tuples(s, s) | st.frozensets(s, max_size=3), max_leaves=4)
VALUES = st.recursive(
    HASHABLE,
    lambda s: (
        st.lists(s, max_size=4) | st.dictionaries(HASHABLE, s, max_size=4) | st.sets(HASHABLE, max_size=3) | st.tuples(s, s)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_plain_values_cross_unchanged(value):
    there = values.decode(json.loads(json.dumps(values.encode(value, nothing))), nothing)
    assert there == value
    assert type(there) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        Fraction(1, 3),
        date(2024, 2, 29),
        time(1, 2, 3, 4),
        datetime(2024, 1, 2, 3, 4, 5),  # noqa: DTZ001 - naive ones are what model code makes
        timedelta(days=-1, microseconds=5),
        deque([1, [2]]),
        range(1, 10, 3),
        bytearray(b"x"),
        10**5000,
        -(2**70),
        float("inf"),
        "\ud800",
        int,
        ValueError,
        dict,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_the_library_cross(value):
    there = crossed(value)
    assert there == value
    assert type(there) is type(value)


def test_derived_types_of_the_library_become_plain():
    for value, plain in (
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
    ):
        assert crossed(value) == plain
        assert type(crossed(value)) is type(plain)


def test_objects_are_referred_to():
    class Kind(IntEnum):
        ONE = 1

    seen = []
    values.encode([object(), Kind.ONE, lambda: 1], lambda v: seen.append(v) or ["mine", 0, "x"])
    assert len(seen) == 3


def test_what_contains_itself_does_not_cross():
    cycle = []
    cycle.append(cycle)
    with pytest.raises(RecursionError):
        values.encode(cycle, nothing)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4), lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(), s)
    )
)
def test_rubbish_is_no_value(data):
    def unknown(data):
        raise values.Unreadable

    with contextlib.suppress(values.Unreadable):
        values.decode(data, unknown)


@pytest.mark.parametrize(
    "data",
    [
        ["made", "os.system", "true"],
        ["made", "datetime.date", ["list"]],
        ["made", "decimal.Decimal", "x"],
        ["type", "print"],
        ["type", "type"],
        ["type", "__loader__"],
        ["type", "__import__"],
        ["set", ["list"]],
        ["dict", 1],
        ["dict", [["list"], 1]],
        ["range", "a", 1, 1],
        ["range", 1, 2, 0],
        ["int", "zz"],
        ["bytes", "x"],
        ["complex", "a", 1, 2],
        [],
        [[]],
        {"list": 1},
    ],
)
def test_malformed_values_are_refused(data):
    def unknown(data):
        raise values.Unreadable

    with pytest.raises(values.Unreadable):
        values.decode(data, unknown)


def test_frames():
    reader, writer = os.pipe()
    wire.write(writer, ["a", {"b": "\ud800"}])
    assert wire.read(reader, most=100) == ["a", {"b": "\ud800"}]
    with pytest.raises(wire.Late):
        wire.read(reader, most=100, deadline=0)
    wire.write(writer, "x" * 200)
    with pytest.raises(wire.TooLong):
        wire.read(reader, most=100)
    os.close(writer)
    os.close(reader)


def test_frames_end_with_the_other_side():
    reader, writer = os.pipe()
    os.write(writer, b"\0\0\0\x09half")
    os.close(writer)
    with pytest.raises(wire.Closed):
        wire.read(reader, most=100)
    os.close(reader)
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(wire.Closed):
        wire.write(writer, 1)
    os.close(writer)


def test_layers_are_found_once_and_told():
    assert found.layers() is found.layers()
    assert "limits" in found.layers().names
    assert bool(found.layers().gaps) is not found.layers().strong


@pytest.mark.parametrize(
    ("walls", "strong"),
    [
        (Layers(), False),
        (Layers(seccomp=True), False),
        (Layers(landlock=7, namespaces="root", uids=True), False),
        (Layers(seccomp=True, landlock=1), True),
        (Layers(seccomp=True, namespaces="user"), True),
    ],
)
def test_what_is_strong(walls, strong):
    assert walls.strong is strong
    assert all(walls.gaps) is True


def test_too_few_layers_are_refused_with_the_mend(monkeypatch):
    monkeypatch.setattr(found, "layers", lambda: Layers(landlock=3))
    with pytest.raises(ConfigError, match="seccomp") as caught:
        found.required("strong")
    assert caught.value.code == "weak_sandbox"
    assert "weak" in caught.value.hint
    assert found.required("weak") == Layers(landlock=3)


def test_a_probe_that_fails_finds_nothing(monkeypatch):
    monkeypatch.setattr(found, "command", lambda *a: [sys.executable, "-c", "raise SystemExit(3)"])
    assert found.layers.__wrapped__() == Layers()
    monkeypatch.setattr(found, "command", lambda *a: ["/no/such/program"])
    assert found.layers.__wrapped__() == Layers()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert found.layers.__wrapped__() == Layers()


def test_a_launcher_that_fails_is_no_verdict(monkeypatch):
    monkeypatch.setattr(found, "command", lambda *a: [sys.executable, "-c", "print('broken'); raise SystemExit(3)"])
    said = program.run("x = 1", "x", None, "", Limits().to_json(), Layers().to_json())
    assert "unable" in said
    assert "outcome" not in said


def test_layers_that_cannot_be_put_on_are_no_verdict():
    said = program.run("x = 1", "assert x == 1", None, "", Limits(open_files=0).to_json(), Layers(landlock=1).to_json())
    assert "outcome" not in said
    assert said["unable"]


def test_the_inside_needs_the_library_only():
    start = found.command("launcher", "9")
    start[5] = start[5].partition("; launcher.main")[0] + "; print(sorted(m for m in sys.modules if 'burnish' in m))"
    assert subprocess.check_output(start, env={}, text=True).strip() == "[]"


def interpreted(code, number, arguments=(), architecture=0xC000003E):
    """What a filter says of a call: the program's steps, done by hand."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(list(arguments) + [0] * 6)[:6])
    steps = [struct.unpack_from("=HBBI", code, i) for i in range(0, len(code), 8)]
    at, a = 0, 0
    while True:
        kind, yes, no, k = steps[at]
        at += 1
        match kind:
            case 0x20:
                (a,) = struct.unpack_from("<I", data, k)
            case 0x54:
                a &= k
            case 0x15:
                at += yes if a == k else no
            case 0x25:
                at += yes if a > k else no
            case 0x06:
                return {0x7FFF0000: "allow", 0x00050001: "EPERM", 0x00050026: "ENOSYS", 0x80000000: "kill"}[k]
            case _:
                raise AssertionError(kind)


CALLS = {
    "read": (0, (), "allow"),
    "socket": (41, (2,), "EPERM"),
    "thread": (56, (0x10000 | 0x100,), "allow"),
    "process": (56, (17,), "EPERM"),
    "clone3": (435, (), "ENOSYS"),
    "unknown": (500, (), "ENOSYS"),
    "x32": (0x40000000 | 41, (), "ENOSYS"),
    "kill itself": (62, (77,), "allow"),
    "kill another": (62, (78,), "EPERM"),
    "kill the group": (62, (0,), "EPERM"),
    "kill all": (62, (2**64 - 1,), "EPERM"),
    "own limits": (302, (0,), "allow"),
    "other limits": (302, (1,), "EPERM"),
    "owner of a file": (72, (0, 8), "EPERM"),
    "flags of a file": (72, (0, 4), "allow"),
    "owner by ioctl": (16, (0, 0x8901), "EPERM"),
    "size of a terminal": (16, (0, 0x5413), "allow"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_filter(name):
    number, arguments, said = CALLS[name]
    assert interpreted(seccomp.program("x86_64", 77, guard_metadata=True, threads=True), number, arguments) == said


def test_the_filter_on_files_threads_and_machines():
    guarded = seccomp.program("x86_64", 77, guard_metadata=True, threads=False)
    free = seccomp.program("x86_64", 77, guard_metadata=False, threads=True)
    assert interpreted(guarded, 56, (0x10000,)) == "EPERM"
    for flags, said in ((0o1000, "EPERM"), (0o1001, "allow"), (0, "allow"), (0o1102, "allow")):
        assert interpreted(guarded, 257, (0, 0, flags)) == said
        assert interpreted(guarded, 2, (0, flags)) == said
        assert interpreted(free, 257, (0, 0, flags)) == "allow"
    assert interpreted(guarded, 90) == "EPERM"
    assert interpreted(free, 90) == "allow"
    assert interpreted(free, 0, architecture=0x40000003) == "kill"
    arm = seccomp.program("aarch64", 77, guard_metadata=True, threads=True)
    assert interpreted(arm, 198, architecture=0xC00000B7) == "EPERM"
    assert interpreted(arm, 63, architecture=0xC00000B7) == "allow"
    assert interpreted(arm, 0, architecture=0xC00000B7) == "EPERM"
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64", 77, guard_metadata=True, threads=True)


def test_limits_are_told_in_plain_form():
    limits = Limits(seconds=1.5, memory_mb=99)
    assert Limits(**limits.to_json()) == limits
    assert dataclasses.replace(limits, memory_mb=1).to_json()["memory_mb"] == 1
