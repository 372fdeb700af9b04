"""What the page on refining in rounds shows is run, and what it lists is complete."""

import re
from pathlib import Path
from typing import get_args

from burnish import make_verifier
from burnish.agents.feedback import Mode
from burnish.graphs.iad_settings import IadSettings
from burnish.search.iad import IAD, Rejected
from burnish.search.iad_history import MOVES
from tests.helpers import rows
from tests.test_docs import blocks, burnish

PAGE = (Path(__file__).parent.parent / "docs" / "iad.md").read_text()


def test_the_command_prints_what_it_says_in_three_draws(tmp_path):
    for name, code in blocks(PAGE).items():
        (tmp_path / name).write_text(code)
    command = re.search(r"```sh\n(burnish run iad .*?)\n```", PAGE, re.S)
    assert command
    out = burnish(command[1].replace("\\\n", " "), tmp_path)
    assert out.returncode == 0, out.stderr
    assert f"prints `{out.stdout.strip()}`" in PAGE
    (tmp_path / "burnish.db").rename(tmp_path / "runs.db")
    assert rows(tmp_path, "SELECT kind FROM candidate ORDER BY seq") == [("fresh",), ("refine",), ("refine",)]


def test_every_choice_is_listed():
    for choice in (*MOVES, "auto", *get_args(Mode), *get_args(Rejected)):
        assert f"`{choice}`" in PAGE, choice
    assert all(f"`{stop}`" in PAGE for stop in ("passed", "target", "patience", "rounds", "budget"))


def test_the_settings_of_the_graph_are_the_policys():
    settings, policy = IadSettings(), IAD()
    for name in (
        "n0",
        "rounds",
        "per_round",
        "move",
        "min_delta",
        "accept_ties",
        "rejected",
        "target",
        "stop_at_pass",
        "patience",
    ):
        assert getattr(settings, name) == getattr(policy, name), name


def test_the_wrappers_that_are_shown_can_be_made():
    shown = [text.replace("...", '"exact"') for text in re.findall(r"`(\{\"name\": \"(?:noisy|sparse)\".*?\})`", PAGE)]
    assert len(shown) == 2
    for text in shown:
        assert make_verifier(text).oracle
