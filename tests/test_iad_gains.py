"""What refining in rounds gains where the model heeds feedback, and that it gains nothing where there is none."""

from burnish import BestOfN, Budget, Context, ScriptedEngine, Task, make_verifier, run_search
from burnish.agents.refiner import Refiner
from burnish.core.budget import Ledger
from burnish.core.run import Run
from burnish.core.runs import RunSpec
from burnish.search.iad import IAD
from burnish.traces.memory import MemoryJournal
from tests.iad_kit import GUESSES, NUMERIC, TOLD, guess


async def solved(policy, feedback="none", verifier=NUMERIC, trials=400, reply=guess):
    """How often a search returns the right answer, and the most calls that it takes. Nothing is stored."""
    engine, task = ScriptedEngine(reply), Task(prompt="What is it?", extract="last_number")
    won, most = 0, 0
    for seed in range(trials):
        engine.calls = 0
        journal = MemoryJournal(RunSpec(id="0" * 32, task=task, graph=""))
        ctx = Context(Run(task, seed, journal, {"default": engine}, Ledger(Budget())))
        found = await run_search(ctx, policy, Refiner(feedback=feedback), make_verifier(verifier))
        won += found.candidate is not None and found.candidate.text == "42"
        most = max(most, engine.calls)
    return won / trials, most


def near(measured, exact, trials=400):
    return abs(measured - exact) <= 4 * (max(exact * (1 - exact), 1 / trials) / trials) ** 0.5


async def test_with_informative_feedback_it_beats_best_of_n_at_equal_calls_and_without_any_it_does_not():
    informed, most = await solved(IAD(rounds=3), "directional")
    blind, as_many = await solved(IAD(rounds=3))
    sampled, _ = await solved(BestOfN(4))
    exact = 1 - (1 - GUESSES) ** 4
    assert near(blind, exact)
    assert near(sampled, exact)
    assert near(informed, 1 - (1 - GUESSES) * (1 - TOLD) ** 3)
    assert informed > sampled + 0.1
    assert most == as_many == 4


async def test_noise_and_sparsity_flatten_the_curve():
    policies, curves = (IAD(rounds=1), IAD(rounds=7)), {}
    for name, verifier in (
        ("true", NUMERIC),
        ("noisy", {"name": "noisy", "verifier": NUMERIC, "flip": 0.3}),
        ("sparse", {"name": "sparse", "verifier": NUMERIC, "reveal": 0.4}),
    ):
        curves[name] = [(await solved(policy, "directional", verifier, trials=250))[0] for policy in policies]
    true, noisy, sparse = curves["true"], curves["noisy"], curves["sparse"]
    assert noisy[1] < true[1] - 0.15
    assert sparse[0] < true[0] - 0.1
    assert noisy[1] - noisy[0] < true[1] - true[0]
