"""Functions that tests run as verifiers in worker processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time

from burnish.core.verdict import Verdict

calls = 0


def says_yes(task, text):
    return "yes" in text


async def slowly_says_yes(task, text):
    await asyncio.sleep(0)
    return 1.0 if "yes" in text else 0.25


def counts(task, text):
    global calls
    calls += 1
    return Verdict.failed(f"call {calls}", evidence={"pid": os.getpid(), "nan": float("nan")}, valid_prefix=3)


def sees(task, text):
    return Verdict.failed(f"reference {task.reference}, grader {task.grader}, id {task.id}")


def tells(task, text):
    return Verdict.failed(f"expected {task.reference}, of 142 ways")


def hangs(task, text):
    time.sleep(600)


def spins(task, text):
    while True:
        pass


def ignores_signals(task, text):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def raises(task, text):
    raise RuntimeError(f"expected {task.reference}")


def leaves(task, text):
    sys.exit(0)


def exits(task, text):
    os._exit(0)


def segfaults(task, text):
    os.kill(os.getpid(), signal.SIGSEGV)


def recurses(task, text):
    return recurses(task, text)


def eats_memory(task, text):
    return len([bytearray(10**7) for _ in range(10**5)]) > 0


def prints(task, text):
    print("rubbish" * 100_000)
    print("rubbish" * 100_000, file=sys.stderr)
    os.write(1, b"\0\xff" * 100_000)
    return True


def forks(task, text):
    os.fork()
    return True


def leaves_children(task, text):
    """Start a child in the group, and one that left it, both of which would live on."""
    code = "import time; time.sleep(600)"
    for own_session in (False, True):
        subprocess.Popen([sys.executable, "-c", code, text], start_new_session=own_session)
    time.sleep(600)


def is_nan(task, text):
    return float("nan")


def is_too_much(task, text):
    return 1.5


def is_negative(task, text):
    return -0.1


def is_text(task, text):
    return "pass"


def is_nothing(task, text):
    return None


def is_huge(task, text):
    return Verdict.failed("x" * 50_000_000)


def is_verdict_of_rubbish(task, text):
    return Verdict(outcome="fail", feedback=["no"], evidence={})


def has_bad_outcome(task, text):
    return Verdict(outcome="maybe")


def has_bad_prefix(task, text):
    return Verdict.failed("no", valid_prefix="far")


def has_odd_evidence(task, text):
    return Verdict.passed(evidence={"set": {1}, "inf": float("inf"), "object": object, "bytes": b"x", "surrogate": "\ud800"})


class Liar(float):
    def __le__(self, other):
        return True

    def __ge__(self, other):
        return True

    def __eq__(self, other):
        return True

    __hash__ = None


def lies(task, text):
    return Liar(7)


class Judge:
    name = "judge"
    version = "3"
    oracle = False
    judges_truncated = False

    async def verify(self, task, candidate, ctx=None):
        return Verdict.passed()


a_judge = Judge()
not_a_function = 3


def takes_one(text):
    return True


def echo(*args):
    return list(args)


def sleeps(seconds):
    time.sleep(seconds)
    return os.getpid()


def pid():
    return os.getpid()


def odd():
    return {1, 2}


def die():
    os._exit(3)


def two_of_three(task, columns, rows):
    assert task.reference is None
    return True if columns == ["name"] else Verdict.failed(f"{len(rows)} rows of {columns}", score=0.5, reason="rows")


def hangs_on_rows(task, columns, rows):
    while True:
        pass


def fails_on_rows(task, columns, rows):
    raise ZeroDivisionError


def odd_on_rows(task, columns, rows):
    return "pass"
