"""The programs of the page on verifiers run, and print what their comments say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "verifiers.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
FILES = {m[1]: block for block in BLOCKS if (m := re.match(r"# (\w+\.py)\n", block))}
PROGRAMS = [block for block in BLOCKS if "print(" in block]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_prints_what_it_says(program, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = re.findall(r"(?:^    |\)  )# (.+)$", program, re.M)
    assert [line.strip() for line in done.stdout.splitlines()] == said


def test_there_are_some():
    assert len(PROGRAMS) >= 5
    assert set(FILES) == {"checks.py", "models.py", "rows.py"}
