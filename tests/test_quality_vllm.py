"""The quality that a verifier gives, on the real engine: robust at small size, so that a miss is a bug and no bad luck.

Six families, 12 tasks each, 8 samples each. Best-of-8 is under the oracle: verifier and grader are one, so it is pass@8.
Single is the mean over the same samples; best-of-8 is what the graph returned and the grader said of it.
"""

from pathlib import Path

import pytest

from burnish.bench import quality
from burnish.bench.evaluate import carried_out
from burnish.compare.summary import summarise
from burnish.engine.vllm import VLLMEngine

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

ITEMS, SAMPLES = 12, 8


async def test_best_of_8_is_far_above_one_answer(vllm_engine: VLLMEngine, tmp_path: Path):
    what = quality.plan(ITEMS, SAMPLES)
    trials = await carried_out(f"sqlite:///{tmp_path / 'quality.db'}", what, vllm_engine, keep_engine=True)
    assert all(len(t.candidates) == SAMPLES for t in trials["pool"])
    assert [t.right for t in trials["pool"]] == [any(c.right for c in t.candidates) for t in trials["pool"]]
    (pool,) = summarise(what, trials)
    single, best = pool.pass_at[1].value, pool.accuracy.value
    assert pool.pass_at[SAMPLES].value == best
    assert best - single >= 0.25, (single, best)
    assert best >= 0.55, (single, best)
