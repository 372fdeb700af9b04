"""The supervisor's decisions, with an engine that dies when a test says so."""

from __future__ import annotations

import asyncio

import pytest

from burnish.core.errors import Cancelled, EngineUnavailable, GenerationFailed
from burnish.core.stop import Stop
from burnish.engine.supervisor import EngineDied, Supervisor


class Mortal:
    def __init__(self) -> None:
        self.alive = True
        self.death = asyncio.Event()

    def kill(self) -> None:
        self.alive = False
        self.death.set()


class Ward:
    """Builds mortal engines and keeps account of them."""

    def __init__(self, **options: float) -> None:
        self.built: list[Mortal] = []
        self.disposed: list[Mortal] = []
        self.removed = asyncio.Event()
        self.build_failures = 0
        self.batches: list[list[str]] = []
        self.supervisor: Supervisor[Mortal] = Supervisor(
            self.build,
            self.dispose,
            lambda e: not e.alive,
            backoff_s=0.001,
            poll_s=0.01,
            grace_s=0.2,
            **options,  # pyright: ignore[reportArgumentType]
        )

    async def build(self) -> Mortal:
        await asyncio.sleep(0.001)
        if self.build_failures:
            self.build_failures -= 1
            raise EngineUnavailable("no")
        self.built.append(Mortal())
        self.batches.append([])
        return self.built[-1]

    async def dispose(self, engine: Mortal) -> None:
        self.disposed.append(engine)
        self.removed.set()

    async def ask(self, name: str, *, kills: bool = False, stop: Stop | None = None, lasts: float = 0.02) -> str:
        async def work(engine: Mortal) -> str:
            if not engine.alive:
                raise EngineDied
            self.batches[self.built.index(engine)].append(name)
            await asyncio.sleep(0.005)
            if kills:
                engine.kill()
            try:
                await asyncio.wait_for(engine.death.wait(), lasts)
            except TimeoutError:
                return name
            raise EngineDied

        return await self.supervisor.call(work, stop=stop)


async def test_calls_in_flight_survive_an_outside_kill() -> None:
    ward = Ward()
    await ward.supervisor.start()
    calls = [asyncio.create_task(ward.ask(f"c{i}", lasts=0.05)) for i in range(5)]
    await asyncio.sleep(0.01)
    ward.built[0].kill()
    assert await asyncio.gather(*calls) == [f"c{i}" for i in range(5)]
    assert ward.supervisor.restarts == 1
    assert ward.disposed == ward.built[:1]
    assert ward.supervisor.idle
    await ward.supervisor.close()
    assert ward.disposed == ward.built


@pytest.mark.parametrize("guilty", [0, 3, 7, 12])
async def test_the_guilty_call_fails_and_no_other(guilty: int) -> None:
    ward = Ward()
    await ward.supervisor.start()
    calls = [asyncio.create_task(ward.ask(f"c{i}", kills=i == guilty)) for i in range(13)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for i, result in enumerate(results):
        if i == guilty:
            assert isinstance(result, GenerationFailed)
            assert result.code == "engine_crash"
        else:
            assert result == f"c{i}"
    assert ward.supervisor.restarts <= 5  # 13, 7, 4, 2, 1
    await ward.supervisor.close()


async def test_two_guilty_calls_are_both_found() -> None:
    ward = Ward()
    await ward.supervisor.start()
    calls = [asyncio.create_task(ward.ask(f"c{i}", kills=i in (1, 6))) for i in range(8)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [i for i, r in enumerate(results) if isinstance(r, GenerationFailed)] == [1, 6]
    assert [r for r in results if isinstance(r, str)] == ["c0", "c2", "c3", "c4", "c5", "c7"]
    await ward.supervisor.close()


async def test_suspects_run_apart_from_new_calls() -> None:
    ward = Ward()
    await ward.supervisor.start()
    calls = [asyncio.create_task(ward.ask(f"old{i}", kills=i == 0)) for i in range(4)]
    await ward.removed.wait()
    calls.append(asyncio.create_task(ward.ask("new")))
    await asyncio.gather(*calls, return_exceptions=True)
    assert ward.batches[0] == ["old0", "old1", "old2", "old3"]
    assert ward.batches[1] == ["old0", "old1"]
    assert ward.batches[2] == ["old0"]
    assert ward.batches[3] == ["old1", "old2", "old3", "new"]
    await ward.supervisor.close()


async def test_a_lone_call_gets_a_second_chance() -> None:
    ward = Ward()
    await ward.supervisor.start()
    with pytest.raises(GenerationFailed) as failure:
        await ward.ask("only", kills=True)
    assert failure.value.code == "engine_crash"
    assert ward.batches[:2] == [["only"], ["only"]]
    assert await ward.ask("next") == "next"
    await ward.supervisor.close()


async def test_an_idle_death_is_noticed() -> None:
    ward = Ward()
    await ward.supervisor.start()
    ward.built[0].kill()
    await ward.removed.wait()
    assert await ward.ask("after") == "after"
    await ward.supervisor.close()


async def test_it_gives_up_when_nothing_ever_finishes() -> None:
    ward = Ward(give_up_after=3)
    await ward.supervisor.start()
    results = [await asyncio.gather(ward.ask(f"c{i}", kills=True), return_exceptions=True) for i in range(3)]
    kinds = [type(r[0]) for r in results]
    assert kinds == [GenerationFailed, EngineUnavailable, EngineUnavailable]
    assert ward.disposed == ward.built  # nothing is left behind
    await ward.supervisor.close()


async def test_a_restart_that_fails_is_tried_again_then_given_up() -> None:
    ward = Ward(give_up_after=3)
    await ward.supervisor.start()
    ward.build_failures = 1
    ward.built[0].kill()
    assert await ward.ask("patient") == "patient"
    ward.build_failures = 9
    ward.built[-1].kill()
    with pytest.raises(EngineUnavailable):
        await ward.ask("late")
    await ward.supervisor.close()


async def test_a_call_that_does_not_notice_the_death_is_taken_back() -> None:
    ward = Ward()
    await ward.supervisor.start()
    seen: list[Mortal] = []

    async def deaf(engine: Mortal) -> str:
        seen.append(engine)
        if len(seen) == 1:
            engine.kill()
            await asyncio.sleep(60)
        return "done"

    assert await asyncio.wait_for(ward.supervisor.call(deaf), 10) == "done"
    assert len(seen) == 2
    await ward.supervisor.close()


async def test_cancelling_a_task_ends_its_call_only() -> None:
    ward = Ward()
    await ward.supervisor.start()
    doomed = asyncio.create_task(ward.ask("doomed", lasts=60))
    other = asyncio.create_task(ward.ask("other"))
    await asyncio.sleep(0.005)
    doomed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert await other == "other"
    assert ward.supervisor.idle
    await ward.supervisor.close()


async def test_a_stop_ends_the_wait_for_a_restart() -> None:
    ward = Ward()
    await ward.supervisor.start()
    ward.build_failures = 2
    ward.built[0].kill()
    stop = Stop()
    waiting = asyncio.create_task(ward.ask("waiting", stop=stop))
    await ward.removed.wait()
    stop.request()
    with pytest.raises(Cancelled):
        await waiting
    await ward.supervisor.close()


async def test_closing_ends_calls_in_flight() -> None:
    ward = Ward()
    await ward.supervisor.start()
    call = asyncio.create_task(ward.ask("c", lasts=60))
    await asyncio.sleep(0.005)
    await ward.supervisor.close()
    with pytest.raises(EngineUnavailable):
        await call
    with pytest.raises(EngineUnavailable):
        await ward.ask("later")
