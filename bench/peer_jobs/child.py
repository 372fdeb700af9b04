"""One side of the comparison, in a process of its own: `python child.py MODULE N WIDTH REPETITIONS`. Prints one line of JSON."""

import asyncio
import contextlib
import importlib
import json
import os
import resource
import sys
import time

began = time.perf_counter()


def main() -> None:
    """Import the job, run it once (the start), then again and again."""
    name, n, width, repetitions = sys.argv[1], *map(int, sys.argv[2:5])
    out = os.fdopen(os.dup(1), "w")
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    with contextlib.redirect_stdout(sys.stderr):
        fake, job = importlib.import_module("fake"), importlib.import_module(name).job

        async def timed() -> float:
            fake.counted.update(model=0, scorer=0)
            start = time.perf_counter()
            found = await job(n, width)
            took = time.perf_counter() - start
            assert fake.counted == {"model": n, "scorer": n}, fake.counted
            last = n - 1 if n % 2 else n - 2
            assert found.endswith(f" {last}."), found[-20:]
            return took

        async def every() -> dict[str, object]:
            await timed()
            first = time.perf_counter() - began
            seconds = [await timed() for _ in range(repetitions)]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            return {"first_result_s": first, "seconds": seconds, "peak_mb": peak}

        found = asyncio.run(every())
    out.write(json.dumps(found) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
