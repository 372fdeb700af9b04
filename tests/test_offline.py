"""Nothing leaves the machine: the program works where every connection but those on this machine is refused."""

import json
import subprocess
import sys

import pytest

from tests.cli_kit import environment, program

GUARD = """
import os, sys

LOCAL = ("127.", "::1", "localhost")


def refuse(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    elif event in ("socket.connect", "socket.sendto", "socket.bind"):
        host = args[1][0] if isinstance(args[1], tuple) else None  # A path is a socket of this machine.
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and not host.startswith(LOCAL):
        with open(os.environ["OFFLINE_LOG"], "a") as log:
            log.write(f"{event} {host}\\n")
        raise OSError(f"no network: {event} {host}")


sys.addaudithook(refuse)
"""
TASKS = [
    {"id": "sum", "prompt": "What is 17 + 25?", "reference": 42, "verifier": "numeric", "grader": "exact"},
    {"id": "word", "prompt": "Say x.", "verifier": "regex:x", "grader": "regex:x"},
]


@pytest.fixture
def cut(tmp_path):
    """Environment of a process, and of all Python processes below it, that reaches this machine only."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in TASKS))
    return {"PYTHONPATH": str(tmp_path / "guard"), "OFFLINE_LOG": str(tmp_path / "offline.log")}


def test_the_guard_refuses_what_leaves_the_machine(cut, tmp_path):
    for code in ("s.connect(('192.0.2.1', 80))", "socket.getaddrinfo('example.org', 80)", "s.sendto(b'', ('192.0.2.1', 9))"):
        kind = "SOCK_DGRAM" if "sendto" in code else "SOCK_STREAM"
        whole = f"import socket; s = socket.socket(type=socket.{kind}); {code}"
        done = subprocess.run([sys.executable, "-c", whole], env=environment(**cut), capture_output=True, text=True, check=False)
        assert "no network" in done.stderr
    assert len((tmp_path / "offline.log").read_text().splitlines()) == 3


def test_runs_lists_and_comparisons_need_no_network(cut, tmp_path):
    engine = ("--engine", "scripted")
    commands = [
        ("run", "best_of_n", "--tasks", "tasks.jsonl", "--set", "n=2", *engine),
        ("runs", "list"),
        ("runs", "stuck"),
        ("compare", "single", "best_of_n:n=2", "--tasks", "tasks.jsonl", *engine),
        ("db", "check"),
    ]
    for command in commands:
        done = program(*command, cwd=tmp_path, **cut)
        assert done.status == 0, (command, done.err)
    assert not (tmp_path / "offline.log").exists()
