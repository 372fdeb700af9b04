"""A process that writes to a store, for tests that kill it: `traces_child.py MODE URL RUN`. It prints what is acknowledged."""

import asyncio
import resource
import sys

from burnish.core.errors import StoreError
from burnish.core.records import StepStart, Told
from burnish.traces.store import Store


def say(*words):
    print(*words, flush=True)


async def flood(url, run_id, tasks=8):
    """Write numbered facts from several tasks at once, for ever."""
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    say("ready")
    numbers = iter(range(10**9))

    async def work():
        for number in numbers:
            await journal.write(Told(scope="/s", number=number, id="x" * 500))
            say("ack", number)

    await asyncio.gather(*(work() for _ in range(tasks)))


async def fill(url, run_id):
    """Write until the file may not grow any more, then say how that showed."""
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))
    number = 0
    try:
        while True:
            await journal.write(Told(scope="/s", number=number, id="x" * 5000))
            say("ack", number)
            number += 1
    except StoreError as e:
        say("failed", e.code, e.hint)
    for record in (StepStart(position="/a", node="a"), Told(scope="/t", number=0, id="y")):
        try:
            await journal.write(record)
            say("went on")
        except StoreError as e:
            say("stopped", e.code)
    await store.close()


async def hold(url, run_id):
    """Hold a run, and write one fact for each line of input."""
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    say("ready")
    number = 0
    while await asyncio.to_thread(sys.stdin.readline):
        try:
            await journal.write(Told(scope="/s", number=number, id="x"))
            say("ack", number)
        except StoreError as e:
            say("failed", e.code)
        number += 1
    await store.close()


async def some(url, run_id):
    """Write five hundred facts and end well."""
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    await asyncio.gather(*(journal.write(Told(scope="/s", number=n, id="x")) for n in range(500)))
    await store.close()
    say("done")


async def create(url, _):
    """Open the store, which makes its tables."""
    store = await Store.open(url)
    await store.close()
    say("done")


async def forget(url, run_id):
    """Write without waiting, and end without closing."""
    store = await Store.open(url)
    journal = await store.acquire(run_id)
    for n in range(300):
        journal.queue(Told(scope="/s", number=n, id="x"))


if __name__ == "__main__":
    mode, url, run_id = sys.argv[1:]
    asyncio.run(globals()[mode](url, run_id))
