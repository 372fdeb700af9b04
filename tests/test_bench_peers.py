"""The comparison with peers: lines are counted as said, and a side's process is held to the same job."""

import sys

import pytest

from burnish.bench import peers
from burnish.core.errors import BurnishError

SOURCE = '''"""What it does.

At length.
"""

import os  # a comment


# another one
def job(a,
        b):
    """Of the function."""
    text = """two
lines"""
    return text
'''


def test_lines_are_counted_without_blank_ones_comments_and_docstrings():
    assert peers.lines_of(SOURCE) == 6
    assert peers.lines_of("") == 0


def test_every_side_has_its_job():
    assert {f"with_{side}.py" for side in peers.SIDES} == {f.name for f in peers.JOBS.glob("with_*.py")}


def test_sides_without_an_environment_of_their_own_do_the_job(tmp_path):
    sides = ("burnish", "langgraph", "langgraph_saver")
    section = peers.run(tmp_path, sides=sides, rounds=1, widths=(4,))
    values = {m.name: m.value for m in section.measures}
    assert values["burnish, 4 wide"] > 0
    assert values["  burnish over langgraph, 4 wide"] == values["burnish, 4 wide"] / values["langgraph, 4 wide"]
    assert all(values[f"{side}: lines a user writes"] > 5 for side in sides)
    assert all(values[f"{side}: first result"] > 0 and values[f"{side}: peak memory"] > 10 for side in sides)


def test_a_side_that_does_another_job_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "JOBS", tmp_path)
    for name in ("child.py", "fake.py"):
        (tmp_path / name).write_text((peers.Path(peers.__file__).parent / "peer_jobs" / name).read_text())
    (tmp_path / "with_lazy.py").write_text("from fake import answer\n\n\nasync def job(n, width):\n    return answer(2)\n")
    with pytest.raises(BurnishError, match="lazy failed"):
        peers.measured(sys.executable, "lazy", 4, 1)
