"""The engine that answers from stored samples: what it holds it gives in a paired random order, all else it refuses."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import EngineUnavailable, GenerationFailed
from burnish.core.completion import Completion, TokenCounts
from burnish.core.engine import Capabilities, Engine, EngineInfo
from burnish.core.prompt import Message, Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine.recorded import RecordedEngine, pool_key

QUESTION = Prompt.of("What is 17 + 25?")
HOW = Sampling(max_tokens=64)
INFO = EngineInfo(
    kind="scripted",
    model="m",
    capabilities=Capabilities(logprobs=True, scoring=True, seed=True, choice=True, token_prefix=True, prefix_cache=True),
)


def sample(i, **fields):
    return Completion(f"answer {i}", logprobs=(-0.1 * i,), token_ids=(i,), tokens=TokenCounts(7, 0, 1), **fields)


def engine(n=4, order=0, **fields):
    return RecordedEngine({pool_key(QUESTION, HOW): [sample(i, **fields) for i in range(n)]}, info=INFO, order=order)


async def drawn(from_engine, n, sampling=HOW):
    return [(await from_engine.generate(QUESTION, sampling)).text for _ in range(n)]


async def test_every_sample_comes_once_in_an_order_of_its_own():
    orders = [tuple(await drawn(engine(order=order), 4)) for order in range(400)]
    assert all(sorted(o) == [f"answer {i}" for i in range(4)] for o in orders)
    counts = Counter(orders)
    assert len(counts) == 24
    # 400 draws of 24 orders: 16.7 each; none is five standard deviations away.
    assert max(counts.values()) < 38


async def test_one_order_number_is_one_order_whatever_else_is_asked_for():
    plain = await drawn(engine(order=3), 4)
    other = engine(order=3)
    with pytest.raises(GenerationFailed):
        await other.generate(Prompt.of("Something else?"), HOW)
    assert await drawn(other, 4, HOW.but(seed=99, logprobs=0)) == plain


async def test_two_prompts_have_two_orders():
    second = Prompt.of("What is 6 * 7?")
    table = {pool_key(p, HOW): [sample(i) for i in range(8)] for p in (QUESTION, second)}
    same = 0
    for order in range(30):
        both = RecordedEngine(table, info=INFO, order=order)
        texts = [[(await both.generate(p, HOW)).text for _ in range(8)] for p in (QUESTION, second)]
        same += texts[0] == texts[1]
    assert same == 0


@given(st.integers(0, 2**31), st.integers(0, 3), st.sampled_from([0.1, 0.7, 1.0]))
def test_the_key_leaves_out_what_does_not_change_the_text(seed, logprobs, temperature):
    how = Sampling(temperature=temperature)
    assert pool_key(QUESTION, how.but(seed=seed, logprobs=logprobs)) == pool_key(QUESTION, how)
    assert (pool_key(QUESTION, how) == pool_key(QUESTION, Sampling())) == (temperature == 0.7)


def test_the_key_has_all_that_does():
    changes = ({}, {"max_tokens": 9}, {"top_p": 0.5}, {"top_k": 3}, {"stop": ["."]}, {"choice": ["a", "b"]})
    keys = [pool_key(QUESTION, HOW.but(**c)) for c in changes]
    keys += [pool_key(Prompt(QUESTION.messages, prefix_ids=(1,)), HOW), pool_key(Prompt(token_ids=(1, 2)), HOW)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("prompt", "sampling"),
    [(Prompt.of("else"), HOW), (QUESTION, HOW.but(max_tokens=65)), (Prompt(QUESTION.messages, prefix_ids=(1, 2)), HOW)],
)
async def test_what_the_pool_lacks_fails_for_good_and_is_counted(prompt, sampling):
    e = engine()
    with pytest.raises(GenerationFailed) as failed:
        await e.generate(prompt, sampling)
    assert (failed.value.code, failed.value.retryable, e.beyond, e.served) == ("not_in_pool", False, 1, 0)


async def test_a_used_up_pool_says_so_each_time():
    e = engine(2)
    await drawn(e, 2)
    for beyond in (1, 2):
        with pytest.raises(GenerationFailed) as failed:
            await drawn(e, 1)
        assert (failed.value.code, failed.value.retryable) == ("pool_exhausted", False)
        assert (e.beyond, e.served) == (beyond, 2)


async def test_log_probabilities_come_only_if_asked_for():
    top = ({1: -0.5, 2: -1.5, 3: -3.0},)
    assert (await engine(top_logprobs=top).generate(QUESTION, HOW)).logprobs is None
    plain = await engine(top_logprobs=top).generate(QUESTION, HOW.but(logprobs=0))
    assert plain.logprobs is not None
    assert plain.top_logprobs is None
    two = await engine(top_logprobs=top).generate(QUESTION, HOW.but(logprobs=2))
    assert two.top_logprobs == ({1: -0.5, 2: -1.5},)
    e = engine(top_logprobs=top)
    with pytest.raises(GenerationFailed, match="4 likeliest"):
        await e.generate(QUESTION, HOW.but(logprobs=4))
    assert e.beyond == 1


async def test_what_was_not_stored_is_no_capability():
    e = engine()
    assert isinstance(e, Engine)
    assert set(e.info.capabilities.names()) == {"logprobs", "choice", "token_prefix", "abort"}
    assert (e.info.kind, e.info.model) == ("recorded", "m")
    bare = RecordedEngine({pool_key(QUESTION, HOW): [Completion("a")]}, info=INFO)
    assert not bare.info.capabilities.logprobs
    with pytest.raises(EngineUnavailable, match="logprobs"):
        await bare.generate(QUESTION, HOW.but(logprobs=0))
    with pytest.raises(EngineUnavailable, match="scoring"):
        await e.score(QUESTION, ["42"])
    assert not RecordedEngine({}, info=INFO).info.capabilities.logprobs


async def test_a_watcher_sees_the_whole_text_and_may_stop():
    seen = []
    done = await engine(1).generate(QUESTION, HOW, watch=lambda d: seen.append((d.text, d.so_far, d.tokens)))
    assert seen == [("answer 0", "answer 0", 1)]
    assert done.finish_reason == "stop"
    stopped = await engine(1).generate(QUESTION, HOW, watch=lambda d: True)
    assert (stopped.finish_reason, stopped.tokens.completion) == ("aborted", 1)


async def test_a_stopped_call_takes_no_sample():
    e, stop = engine(1), Stop()
    stop.request("enough")
    assert (await e.generate(QUESTION, HOW, stop=stop)).finish_reason == "aborted"
    assert (e.served, e.beyond) == (0, 0)
    assert await drawn(e, 1) == ["answer 0"]


async def test_starting_and_closing_twice_changes_nothing():
    e = engine(2)
    first = await drawn(e, 1)
    for _ in range(2):
        await e.start()
        await e.close()
    assert await drawn(e, 1) != first


def test_tokens_are_counted_as_stored_else_bounded_from_above():
    e = engine()
    assert e.count_tokens(QUESTION) == 7
    unseen = "ein längerer Satz: 日本語 \ud800"
    assert e.count_tokens(Prompt.of(unseen)) >= len(unseen)
    assert e.count_tokens(Prompt(token_ids=(1, 2, 3))) == 3
    longer = Prompt((Message("user", unseen),), prefix_ids=tuple(range(50)))
    assert e.count_tokens(longer) == e.count_tokens(Prompt.of(unseen)) + 50


async def test_equal_samples_stay_several():
    table = {pool_key(QUESTION, HOW): [sample(1), sample(1), sample(2)]}
    e = RecordedEngine(table, info=INFO)
    assert Counter(await drawn(e, 3)) == {"answer 1": 2, "answer 2": 1}
    assert list(itertools.chain(*table.values())) == [sample(1), sample(1), sample(2)]
