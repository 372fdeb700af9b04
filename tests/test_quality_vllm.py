"""The quality that a verifier gives, on the real engine: robust at small size, so that a miss is a bug and no bad luck.

Six families, 12 tasks each, 8 samples each. Best-of-8 is under the oracle: verifier and grader are one, so it is pass@8.
Single is the mean over the same samples; best-of-8 is what the graph returned and the grader said of it.
"""

from pathlib import Path
from statistics import fmean

import pytest

from burnish.bench import microtasks
from burnish.bench.demo import demo_tasks
from burnish.bench.evaluate import read
from burnish.bench.quality import method, pools
from burnish.engine.vllm import VLLMEngine
from burnish.session import Session

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

ITEMS, SAMPLES, SEED = 12, 8, 2


async def test_best_of_8_is_far_above_one_answer(vllm_engine: VLLMEngine, tmp_path: Path):
    tasks = demo_tasks(SEED, ITEMS)
    url = f"sqlite:///{tmp_path / 'quality.db'}"
    async with Session(vllm_engine, store=url, concurrency=32, keep_engines=True) as session:
        found = await pools(session, tasks, SAMPLES, prefix="test", seed=SEED)
        returned = read(session.store.reader(), method(SAMPLES), tasks, prefix="test").passes
    assert [len(p.votes) for p in found] == [SAMPLES] * len(tasks)
    assert returned == [p.passed > 0 for p in found]
    single, best = fmean(p.pass_at(1) for p in found), fmean(map(float, returned))
    assert best - single >= 0.25, (single, best)
    assert best >= 0.55, (single, best)
    for family in microtasks.FAMILIES:
        own = [(p.pass_at(1), float(r)) for p, r in zip(found, returned, strict=True) if p.family == family]
        assert fmean(r for _, r in own) >= fmean(s for s, _ in own), family
