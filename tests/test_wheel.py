"""The built wheel holds the package, whole: every module, the prompts, the migrations; and no tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.test_layout import ROOMS, ROOT


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> set[str]:
    """Names within the wheel, built from a copy of the tree."""
    source, out = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("wheel")
    skip = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "*.db*")
    shutil.copytree(ROOT, source, ignore=skip)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("burnish-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_is_in_the_wheel(names: set[str]):
    modules = [p for room in ROOMS for p in (ROOT / room).rglob("*.py")] + list(ROOT.glob("*.py"))
    assert {f"burnish/{p.relative_to(ROOT).as_posix()}" for p in modules} == {n for n in names if n.endswith(".py")}


def test_data_is_in_the_wheel_and_tests_are_not(names: set[str]):
    prompts = {f"burnish/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "agents" / "prompts").glob("*.*")}
    assert prompts
    assert prompts <= names
    assert "burnish/py.typed" in names
    assert not {n for n in names if Path(n).parts[1] in ("tests", "examples", "docs")}
    assert any(n.endswith("licenses/LICENSE") for n in names)
