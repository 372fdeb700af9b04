"""The shape of the house: one-way imports, a complete package list, a light and explicit public face."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = {
    "core": 1,
    "engine": 2,
    "stats": 2,
    "traces": 2,
    "search": 3,
    "verifiers": 3,
    "retrieval": 3,
    "agents": 4,
    "environments": 4,
    "graphs": 5,
    "admission": 6,
    "execution": 6,
    "forking": 6,
    "session": 6,
    "loop": 6,
    "compare": 7,
    "bench": 8,
    "cli": 8,
    "testing": 8,
    "view": 8,
}
ROOMS = [name for name in FLOORS if (ROOT / name).is_dir()]
HEAVY = {"alembic", "langgraph", "litellm", "matplotlib", "numpy", "openai", "scipy", "sqlalchemy", "torch"}
HEAVY |= {"transformers", "vllm", "bm25s", "usearch", "httpx", "pandas", "sympy", "starlette", "uvicorn", "jinja2"}
HEAVY |= {"opentelemetry"}


def modules() -> list[Path]:
    files = [f for room in ROOMS for f in (ROOT / room).rglob("*.py")]
    return files + [f for f in ROOT.glob("*.py") if f.stem != "__init__"]


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a module imports, relatively or by the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = parts[: len(parts) - node.level]
            names = (node.module or "").split(".") if node.module else [a.name for a in node.names]
            full = (*package, *names)
            found.add(full[0] if len(full) else "")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("burnish."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("burnish.")}
    return {f for f in found if f in FLOORS}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_lower_floors(path: Path):
    own = path.relative_to(ROOT).with_suffix("").parts[0]
    siblings = {"admission", "execution", "forking", "session", "loop"}
    for other in imported_rooms(path) - {own}:
        if own in siblings and other in siblings:
            continue
        assert FLOORS[other] < FLOORS[own] or (own == "cli" and other in ("bench", "view")), f"{own} imports {other}"


def test_every_room_has_a_floor():
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests", "examples"}
    assert folders == set(ROOMS)


def test_the_package_list_is_complete():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {"burnish"}
    for room in ROOMS:
        there |= {".".join(("burnish", *p.parent.relative_to(ROOT).parts)) for p in (ROOT / room).rglob("__init__.py")}
    assert listed == there


def test_import_is_light():
    code = f"import sys, burnish; print(sorted({HEAVY!r} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd="/").strip() == "[]"


def test_help_is_light():
    code = (
        "import sys, json\nfrom burnish.cli.main import main\n"
        "try: sys.argv = ['burnish', '--help']; main()\n"
        f"except SystemExit: print(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True, cwd="/")
    assert json.loads(out.splitlines()[-1]) == []


def test_the_public_face_is_true():
    import burnish

    assert len(set(burnish.__all__)) == len(burnish.__all__)
    for name in burnish.__all__:
        assert getattr(burnish, name) is not None
    assert set(burnish.__all__) <= set(dir(burnish))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = burnish.no_such_name
