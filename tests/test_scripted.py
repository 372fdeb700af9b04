"""The scripted engine: what it answers, how it is cut and stopped, how its time runs."""

from __future__ import annotations

import asyncio
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.core.completion import Completion, Delta
from burnish.core.engine import Capabilities, Engine
from burnish.core.errors import ConfigError, EngineUnavailable, GenerationFailed
from burnish.core.prompt import ImagePart, Message, Prompt
from burnish.core.sampling import Sampling
from burnish.core.stop import Stop
from burnish.engine import vocabulary
from burnish.engine.paced import Capacity, Seat, follow
from burnish.engine.pretend import answer, scripted
from burnish.engine.scripted import Call, Reply, ScriptedEngine

GREETING = Prompt.of("Say hello to Ann.")


def ask(engine: ScriptedEngine, prompt: Prompt | str = GREETING, **sampling: object) -> Completion:
    return asyncio.run(engine.generate(Prompt.of(prompt), Sampling().but(**sampling)))


# --- the vocabulary ---


@given(st.text())
def test_a_text_survives_its_token_ids(text: str) -> None:
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert len(ids) == vocabulary.count(text) == len(vocabulary.split(text))
    assert all(0 <= i < 2**32 for i in ids)


@given(st.integers(min_value=-(2**33), max_value=2**33))
def test_a_number_is_an_id_of_one_token_or_refused(number: int) -> None:
    try:
        text = vocabulary.decode([number])
    except ConfigError:
        return
    assert vocabulary.encode(text) == (number,)


def test_short_words_are_tokens() -> None:
    assert vocabulary.split("one two, candidate\n") == ["one", " two,", " candi", "date", "\n"]


# --- what is answered ---


async def test_it_is_an_engine() -> None:
    engine = ScriptedEngine("hi")
    await engine.start()
    assert isinstance(engine, Engine)
    assert (await engine.generate(GREETING, Sampling())).text == "hi"
    await engine.close()


def test_the_seed_chooses_and_the_order_of_calls_does_not() -> None:
    engine = ScriptedEngine(lambda call: f"{call.text} {call.draw} {call.random.random()}")
    wanted = [(f"p{n % 3}", n) for n in range(30)]
    first = {w: ask(engine, w[0], seed=w[1]).text for w in wanted}
    random.Random(5).shuffle(wanted)
    again = ScriptedEngine(lambda call: f"{call.text} {call.draw} {call.random.random()}")
    assert {w: ask(again, w[0], seed=w[1]).text for w in wanted} == first
    assert len(set(first.values())) == 30


def test_a_table_is_looked_up_whole_then_by_part() -> None:
    engine = ScriptedEngine({"capital": "Paris", "capital of Peru?": ["Lima", "Cusco"], "": "?"})
    assert [ask(engine, "capital of Peru?", seed=s).text for s in (0, 1, 2)] == ["Lima", "Cusco", "Lima"]
    assert ask(engine, "The capital of France?").text == "Paris"
    assert ask(engine, "And then?").text == "?"


def test_a_prompt_that_no_key_fits_is_named() -> None:
    with pytest.raises(ConfigError, match="And then"):
        ask(ScriptedEngine({"capital": "Paris"}), "And then?")


@pytest.mark.parametrize("nothing", [[], 3, None, {"a": []}, {"a": [1]}])
def test_replies_of_the_wrong_kind_are_refused(nothing: object) -> None:
    with pytest.raises(ConfigError):
        ScriptedEngine(nothing)  # pyright: ignore[reportArgumentType]


def test_a_function_that_returns_rubbish_is_refused() -> None:
    with pytest.raises(ConfigError, match="int"):
        ask(ScriptedEngine(lambda _: 7))  # pyright: ignore[reportArgumentType, reportUnknownLambdaType]


def test_an_exception_is_raised_for_its_seed_only() -> None:
    engine = ScriptedEngine(["fine", GenerationFailed("no", code="scripted", retryable=True)])
    assert ask(engine, seed=0).text == "fine"
    with pytest.raises(GenerationFailed) as failure:
        ask(engine, seed=1)
    assert failure.value.retryable
    assert failure.value.code == "scripted"


# --- how it is cut ---


def test_max_tokens_cuts_and_says_length() -> None:
    engine = ScriptedEngine("one two three four")
    cut = ask(engine, max_tokens=2)
    assert (cut.text, cut.finish_reason, cut.tokens.completion) == ("one two", "length", 2)
    assert ask(engine, max_tokens=4).finish_reason == "stop"


def test_a_stop_text_ends_before_it_or_stays() -> None:
    engine = ScriptedEngine("one\n\ntwo END three")
    done = ask(engine, stop=["END", "\n\n"])
    assert (done.text, done.finish_reason) == ("one", "boundary")
    kept = ask(engine, stop=["END", "\n\n"], keep_stop=True)
    assert (kept.text, kept.finish_reason) == ("one\n\n", "boundary")
    assert ask(engine, stop=["END"], max_tokens=2).finish_reason == "length"


def test_reasoning_is_apart_and_counted() -> None:
    engine = ScriptedEngine(Reply("yes", reasoning="let me think"))
    done = ask(engine)
    assert (done.reasoning, done.text, done.tokens.completion, done.tokens.reasoning) == ("let me think", "yes", 4, 3)
    assert ask(engine, thinking_tokens=1).reasoning == "let"
    cut = ask(engine, max_tokens=2)
    assert (cut.reasoning, cut.text, cut.finish_reason, cut.tokens.reasoning) == ("let me", "", "length", 2)


@given(st.text(max_size=40), st.text(max_size=40), st.integers(1, 30))
def test_ids_texts_and_counts_agree_however_it_is_cut(reasoning: str, text: str, most: int) -> None:
    done = ask(ScriptedEngine(Reply(text, reasoning=reasoning)), max_tokens=most, logprobs=1)
    assert done.token_ids is not None
    assert vocabulary.decode(done.token_ids) == done.reasoning + done.text
    assert len(done.token_ids) == done.tokens.completion == len(done.logprobs or ()) == len(done.top_logprobs or ())
    assert done.tokens.completion <= most
    assert (done.finish_reason == "length") == (vocabulary.count(reasoning) + vocabulary.count(text) > most)


def test_a_prefix_of_token_ids_is_continued() -> None:
    engine = ScriptedEngine({"": ["one two three four", "uno dos tres"]})
    begun = ask(engine, seed=0, max_tokens=2)
    prompt = Prompt(GREETING.messages, prefix_ids=begun.token_ids or ())
    for seed in range(4):
        assert begun.text + ask(engine, prompt, seed=seed).text == "one two three four"
    assert engine.count_tokens(prompt) == engine.count_tokens(GREETING) + 2


def test_a_function_sees_the_prefix() -> None:
    engine = ScriptedEngine(lambda call: call.rest("alpha beta") if call.prefix else "none")
    assert ask(engine, Prompt(GREETING.messages, prefix_text="alpha")).text == " beta"
    assert ask(engine, Prompt(GREETING.messages, prefix_ids=engine.encode("alpha"))).text == " beta"


def test_pretended_tokens_need_no_text() -> None:
    engine = ScriptedEngine(Reply("abcdefghij", reasoning="0123456789", tokens=1000))
    done = ask(engine, max_tokens=2000, logprobs=0)
    assert (done.text, done.tokens.completion, done.tokens.reasoning, done.token_ids) == ("abcdefghij", 1000, 500, None)
    assert len(done.logprobs or ()) == 1000
    cut = ask(engine, max_tokens=600)
    assert (cut.reasoning, cut.text, cut.finish_reason) == ("0123456789", "ab", "length")


# --- log-probabilities and constraints ---


async def test_scores_agree_with_generated_logprobs() -> None:
    engine = ScriptedEngine("one two three")
    done = await engine.generate(GREETING, Sampling(logprobs=0))
    assert done.token_ids is not None
    by_text, by_ids, tail = await engine.score(GREETING, ["one two three", done.token_ids, " four"])
    assert by_text.logprobs == by_ids.logprobs == done.logprobs
    assert all(p <= 0 for p in by_text.logprobs)
    behind = Prompt(GREETING.messages, prefix_ids=done.token_ids[:1])
    assert (await engine.score(behind, [done.token_ids[1:]]))[0].logprobs == (done.logprobs or ())[1:]
    assert len(tail.logprobs) == 1


async def test_logprobs_and_scores_may_be_chosen() -> None:
    engine = ScriptedEngine(Reply("a b c", token_logprobs=[-1, -2, -3]), scores=lambda _, text: [-float(len(text))])
    assert (await engine.generate(GREETING, Sampling(logprobs=0, max_tokens=2))).logprobs == (-1, -2)
    assert (await engine.score(GREETING, ["four"]))[0].total == -4
    with pytest.raises(ConfigError, match="1 log-prob"):
        await ScriptedEngine(Reply("a b", token_logprobs=[-1])).generate(GREETING, Sampling(logprobs=0))


def test_a_choice_is_made() -> None:
    engine = ScriptedEngine("I would rather not say")
    made = {ask(engine, seed=s, choice=["yes", "no"]).text for s in range(40)}
    assert made == {"yes", "no"}
    assert ask(ScriptedEngine("no"), choice=["yes", "no"]).text == "no"


def test_what_it_cannot_do_is_an_error() -> None:
    engine = ScriptedEngine("1")
    with pytest.raises(EngineUnavailable, match="regex"):
        ask(engine, regex=r"\d")
    bare = ScriptedEngine("1", capabilities=Capabilities())
    with pytest.raises(EngineUnavailable, match="logprobs"):
        ask(bare, logprobs=0)
    with pytest.raises(EngineUnavailable, match="token_prefix"):
        ask(bare, Prompt(GREETING.messages, prefix_ids=(3,)))
    with pytest.raises(EngineUnavailable, match="images"):
        ask(bare, Prompt((Message("user", (ImagePart("data:,"),)),)))
    with pytest.raises(EngineUnavailable, match="scoring"):
        asyncio.run(bare.score(GREETING, ["a"]))
    assert ask(bare).token_ids is None


def test_a_reply_must_satisfy_regex_and_schema() -> None:
    engine = ScriptedEngine({"good": '{"n": 1}', "bad": "{"}, capabilities=Capabilities(json_schema=True, regex=True))
    schema = {"type": "object", "required": ["n"]}
    assert ask(engine, "good", json_schema=schema).text == '{"n": 1}'
    assert ask(engine, "good", regex=r"\{.*\}").text == '{"n": 1}'
    for limits in ({"json_schema": schema}, {"regex": "x+"}):
        with pytest.raises(GenerationFailed) as failure:
            ask(engine, "bad", **limits)
        assert failure.value.code == "constraint"


# --- streams and stops ---


async def test_a_watcher_sees_every_token_and_stops_at_one() -> None:
    for latency in (0.0, 0.02):
        engine = ScriptedEngine(Reply("a b c d", reasoning="hm,"), latency=latency)
        seen: list[Delta] = []
        whole = await engine.generate(GREETING, Sampling(), watch=seen.append)
        assert whole.finish_reason == "stop"
        assert [d.text for d in seen] == ["hm,", "a", " b", " c", " d"]
        assert seen[-1].so_far == "hm,a b c d"
        part = await engine.generate(GREETING, Sampling(), watch=lambda d: d.tokens == 3)
        assert (part.text, part.finish_reason, part.tokens.completion) == ("a b", "aborted", 3)


@pytest.mark.parametrize("pace", [{"latency": 60.0}, {"tokens_per_second": 0.5}, {"latency": 60.0, "tokens_per_second": 9.0}])
@pytest.mark.parametrize("watch", [None, lambda _: None])
async def test_a_stop_ends_a_call_at_once_with_what_there_is(pace: dict[str, float], watch: None) -> None:
    stop = Stop()
    engine = ScriptedEngine("word " * 100, **pace)  # pyright: ignore[reportArgumentType]
    task = asyncio.create_task(engine.generate(GREETING, Sampling(), watch=watch, stop=stop))
    await asyncio.sleep(0.01)
    stop.request()
    done = await asyncio.wait_for(task, 10)
    assert done.finish_reason == "aborted"
    assert done.tokens.completion < 100
    assert done.tokens.prompt == engine.count_tokens(GREETING)


async def test_a_stop_asked_for_by_the_watcher_counts() -> None:
    stop = Stop()

    def watch(delta: Delta) -> None:
        if delta.tokens == 2:
            stop.request()

    done = await ScriptedEngine("a b c d").generate(GREETING, Sampling(), watch=watch, stop=stop)
    assert (done.text, done.finish_reason) == ("a b", "aborted")


async def test_a_call_stopped_beforehand_is_not_received(tmp_path) -> None:
    stop = Stop()
    stop.request()
    engine = ScriptedEngine("a", log=tmp_path / "log")
    done = await engine.generate(GREETING, Sampling(), stop=stop)
    assert (done.text, done.finish_reason, engine.calls) == ("", "aborted", 0)
    assert not (tmp_path / "log").exists()


async def test_an_error_comes_after_its_latency_unless_stopped() -> None:
    engine = ScriptedEngine(Reply(error=GenerationFailed("late"), latency=30))
    stop = Stop()
    task = asyncio.create_task(engine.generate(GREETING, Sampling(), stop=stop))
    await asyncio.sleep(0.01)
    assert not task.done()
    stop.request()
    assert (await asyncio.wait_for(task, 10)).finish_reason == "aborted"


# --- shared capacity ---


async def test_a_cancelled_call_frees_its_place() -> None:
    engine = ScriptedEngine(lambda c: Reply(tokens=1 if c.seed else 10**6), tokens_per_second=1000, max_running=1)
    sampling = Sampling(max_tokens=10**7)
    hog = asyncio.create_task(engine.generate(GREETING, sampling.but(seed=0)))
    small = [asyncio.create_task(engine.generate(GREETING, sampling.but(seed=s))) for s in (1, 2, 3)]
    await asyncio.sleep(0.01)
    assert not any(t.done() for t in small)
    small[0].cancel()
    hog.cancel()
    rest = await asyncio.wait_for(asyncio.gather(*small[1:]), 10)
    assert [c.tokens.completion for c in rest] == [1, 1]
    with pytest.raises(asyncio.CancelledError):
        await hog


class Clock:
    """An event loop's clock, put forward by hand; timers of the real loop do not matter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = asyncio.get_running_loop().time()
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


async def test_the_shares_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    capacity = Capacity(100, max_running=2)
    first, second, third = (capacity.enter(n) for n in (100, 200, 50))
    clock.now += 1  # 50 tokens a second each, the third waits
    assert (first.arrived(), second.arrived(), third.arrived()) == (50, 50, 0)
    clock.now += 1.5  # the first ends at 2 s, the third gets its place at that very time
    assert (first.arrived(), second.arrived(), third.arrived()) == (100, 125, 25)
    clock.now += 0.5  # the third ends at 3 s
    assert (second.arrived(), third.arrived(), capacity.running) == (150, 50, 1)
    clock.now += 0.25  # alone: 100 tokens a second
    assert second.arrived() == 175
    second.leave()
    clock.now += 9
    assert (second.arrived(), capacity.running) == (175, 0)


async def test_one_call_gets_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    seat = Capacity(1000, each=10).enter(100)
    clock.now += 1
    assert seat.arrived() == 10


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 2), st.booleans()), min_size=1, max_size=12), st.integers(1, 4))
def test_no_place_is_lost_and_no_token_is_made_up(calls: list[tuple[int, float, bool]], places: int) -> None:
    async def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            clock = Clock(patch)
            capacity, began = Capacity(10, max_running=places), clock.now
            seats: list[Seat] = []
            given_up: set[Seat] = set()
            for tokens, pause, gives_up in calls:
                seats.append(capacity.enter(tokens))
                clock.now += pause
                if gives_up:
                    seats[len(seats) // 2].leave()
                    given_up.add(seats[len(seats) // 2])
                arrived = sum(seat.arrived() for seat in seats)
                assert arrived <= 10 * (clock.now - began) + 1e-6
                assert capacity.running <= places
            clock.now += 1000
            capacity.account()
            assert capacity.running == 0
            assert all(seat.left for seat in seats)
            assert all(seat.end.done() and seat.arrived() == seat.tokens for seat in seats if seat not in given_up)

    asyncio.run(run())


async def test_the_makespan_is_the_work_that_there_is() -> None:
    capacity = Capacity(20_000, max_running=8)
    loop = asyncio.get_running_loop()
    began = loop.time()
    done = await asyncio.gather(*(follow(capacity.enter(n), None, None) for n in [50] * 40))
    assert done == [50] * 40
    assert loop.time() - began >= 2000 / 20_000 * 0.99


# --- options ---


async def test_the_log_holds_each_request_before_its_answer(tmp_path) -> None:
    path = tmp_path / "requests.jsonl"
    lines_when_asked: list[int] = []

    def reply(call: Call) -> str:
        lines_when_asked.append(len(path.read_text().splitlines()))
        return "x"

    engine = ScriptedEngine(reply, log=path)
    for seed in (1, 2, 1):
        await engine.generate(GREETING, Sampling(seed=seed))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines_when_asked == [1, 2, 3]
    assert [line["seed"] for line in lines] == [1, 2, 1]
    assert lines[0]["key"] == lines[2]["key"] == Call(GREETING, Sampling()).key


@pytest.mark.parametrize(
    "options",
    [
        {"latency": -1},
        {"latency": math.nan},
        {"tokens_per_second": 0},
        {"max_running": 3},
        {"tokens_per_second": 1, "max_running": 0},
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ScriptedEngine("x", **options)  # pyright: ignore[reportArgumentType]


def test_what_it_is_says_what_it_was_made_with() -> None:
    info = ScriptedEngine("x", model="tiny", context_tokens=9, settings={"a": 1}).info.to_json()
    assert (info["kind"], info["model"], info["context_tokens"], info["settings"]) == ("scripted", "tiny", 9, {"a": 1})


# --- the pretending engine ---


@pytest.mark.parametrize(
    ("prompt", "right"),
    [
        ("What is 17 + 25?", "42"),
        ("12 - 3 * 4 + 1", "1"),
        ("First 1 + 1. Then: 6 × 7", "42"),
        ('Repeat "red blue" please.', "red blue"),
        ("Instructions.\n\nThe last line.\n", "The last line."),
        ("", ""),
    ],
)
def test_the_pretender_knows_the_answer(prompt: str, right: str) -> None:
    assert answer(prompt) == right


@pytest.mark.parametrize("prompt", ["What is 17 + 25?", 'Repeat "red blue".', "x"])
def test_the_pretender_is_right_as_often_as_asked(prompt: str) -> None:
    engine = scripted(accuracy=0.3)
    right = sum(ask(engine, prompt, seed=s).text == answer(prompt) for s in range(1000))
    assert 240 <= right <= 360
    assert all(ask(scripted(accuracy=1), prompt, seed=s).text == answer(prompt) for s in range(20))
    assert not any(ask(scripted(accuracy=0), prompt, seed=s).text == answer(prompt) for s in range(20))


def test_the_pretender_fails_as_often_as_asked() -> None:
    with pytest.raises(GenerationFailed):
        ask(scripted(failures=1.0))
    with pytest.raises(ConfigError, match="accuracy"):
        scripted(accuracy=1.5)
