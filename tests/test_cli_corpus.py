"""`burnish corpus`: every command, its JSON, its exit status, and what reaches the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_kit import PROGRAM, burnish, environment
from tests.retrieval_kit import PASSAGES, home, lines, server

__all__ = ["burnish", "home"]


@pytest.fixture
def made(burnish, home, tmp_path, monkeypatch):
    """The program, with the corpus `small` built."""
    monkeypatch.setenv("BURNISH_HOME", str(home))
    path = lines(tmp_path / "c.jsonl")
    done = burnish("corpus", "build", "small", "--from", str(path))
    assert (done.status, done.out) == (0, "")
    assert "small has 6 passages" in done.err
    return burnish


def test_a_corpus_can_be_listed_looked_at_and_searched(made):
    listed = made("corpus").out.splitlines()
    assert len(listed) == 2
    assert listed[1].split()[:3] == ["small", "lexical", "6"]
    assert made("corpus", "list", "--json").data[0]["indexes"]["lexical"]["k1"] == 1.5
    shown = made("corpus", "info", "small", "--check")
    assert "stemmer: snowball english" in shown.out
    assert "agrees" in shown.err
    assert made("corpus", "info", "small", "--json").data["problems"] == []
    found = made("corpus", "search", "small", "who wrote The Trial", "-k", "2")
    assert [line.split()[2] for line in found.out.splitlines()[1:]] == ["kafka", "who"]
    data = made("corpus", "search", "small", "who wrote The Trial", "-k", "2", "--exclude", "kafka", "--json").data
    assert (data[0]["rank"], data[0]["id"]) == (1, "who")
    assert PASSAGES[0][2] in made("corpus", "search", "small", "Kafka", "--content").out
    assert made("corpus", "search", "small", " ", "--json").data == []


def test_a_corpus_can_be_dropped_only_if_that_is_meant(made):
    refused = made("corpus", "drop", "small", "--json")
    assert (refused.status, refused.error["kind"]) == (2, "config")
    assert made("corpus", "info", "small").status == 0
    assert made("corpus", "drop", "small", "--yes", "--json").data == {"name": "small", "dropped": True}
    gone = made("corpus", "search", "small", "x", "--json")
    assert (gone.status, gone.error["kind"]) == (2, "no_corpus")
    assert made("corpus", "drop", "small", "--yes").status == 2
    assert made("corpus", "list", "--json").data == []


def test_a_damaged_corpus_is_told_with_its_mend(made, home):
    file = next(home.rglob("vocab.index.json"))
    file.write_text(file.read_text()[:-4])
    done = made("corpus", "search", "small", "x", "--json")
    assert (done.status, done.error["kind"]) == (6, "index_damaged")
    assert done.error["hint"].startswith("burnish corpus build small --from ")
    checked = made("corpus", "info", "small", "--check")
    assert checked.status == 1
    assert "damaged: lexical: vocab.index.json" in checked.out
    next(home.rglob("passages.jsonl")).unlink()
    assert "damaged" in made("corpus", "list").out
    assert made("corpus", "list", "--json").data == [{"name": "small", "problem": "damaged"}]


def test_a_folder_is_cut_as_asked(burnish, home, tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_HOME", str(home))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Heading\n\n" + "Some words here. " * 40)
    (tmp_path / "docs" / "b.md").write_text("")
    done = burnish("corpus", "build", "docs", "--from", "docs", "--chunk", "200", "--json")
    assert done.status == 0
    assert done.data["chunking"] == {"size": 200, "overlap": 25}
    assert done.data["passages"] > 3
    assert done.data["empty_files"] == 1
    hit = burnish("corpus", "search", "docs", "words", "-k", "1", "--json").data[0]
    assert hit["title"] == "a.md: Heading"
    assert hit["id"].startswith("a.md#")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["build", "x", "--from", "nowhere.jsonl"], 2, "there is no"),
        (["build", "../x", "--from", "c.jsonl"], 2, "cannot be a corpus's name"),
        (["build", "x", "--from", "bad.jsonl"], 2, "bad.jsonl:2: no JSON"),
        (["build", "x", "--from", "c.jsonl", "--kind", "exact"], 2, "exact"),
        (["build", "x", "--from", "c.jsonl", "--chunk", "100"], 2, "not cut"),
        (["build", "x", "--from", "c.jsonl", "--kind", "dense", "--embedder", "nowhere"], 2, "cannot be read"),
        (["build", "x"], 2, "--from"),
        (["info", "x"], 2, "no corpus 'x'"),
        (["search", "x", "q"], 2, "those that are there: small"),
        (["search", "small", "q", "--kind", "dense"], 2, "none that is dense"),
        (["search", "small", "q", "-k", "0"], 2, "greater than or equal to 1"),
        (["search", "http://127.0.0.1:9/", "q", "--kind", "dense"], 2, "a server decides"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(made, tmp_path, arguments, status, says):
    (tmp_path / "bad.jsonl").write_text('{"id": "a", "contents": "x"}\n{"id":')
    done = made("corpus", *arguments, "--json")
    assert done.status == status
    assert says in done.error["message"] + done.error["hint"]
    plain = made("corpus", *arguments)
    assert plain.status == status
    assert plain.out == ""
    assert "Traceback" not in plain.err


def test_a_server_can_be_searched(made):
    document = {"id": "\x1b[31m1", "contents": "Title\x07\nText \u202e"}
    with server(lambda body, n: (200, {"result": [[{"document": document, "score": 2}]]})) as (url, _):
        done = made("corpus", "search", url, "q")
        assert made("corpus", "search", url, "q", "--json").data[0]["id"] == "\x1b[31m1"
    assert done.status == 0
    assert "\\x1b[31m1" in done.out
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)


def test_help_and_bad_input_load_nothing_heavy(home):
    code = (
        "import sys\nfrom burnish.cli.main import invoke\n"
        "invoke(['corpus', '--help']); invoke(['corpus', 'list']); invoke(['corpus', 'info', 'x'])\n"
        "print(sorted({'numpy', 'bm25s', 'usearch', 'torch', 'transformers', 'httpx', 'sqlalchemy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], env=environment(BURNISH_HOME=str(home)), capture_output=True, text=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_a_bar_is_drawn_on_a_terminal_only(home, tmp_path):
    path = lines(tmp_path / "c.jsonl", [(str(i), "t", f"word{i}") for i in range(3000)])
    command = [*PROGRAM, "corpus", "build", "many", "--from", str(path), "--json"]
    env = environment(BURNISH_HOME=str(home), TERM="xterm")
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=env, timeout=120)
        os.close(theirs)
        shown = os.read(ours, 100_000)
    finally:
        os.close(ours)
    assert json.loads(done.stdout)["data"]["passages"] == 3000
    assert b"\x1b[" in shown
    plain = subprocess.run([*command[:-1]], capture_output=True, env=env, timeout=120)
    assert b"\x1b" not in plain.stderr
    assert plain.stdout == b""


DOCS = (Path(__file__).parent.parent / "docs" / "retrieval.md").read_text()


def test_what_the_document_shows_works(burnish, home, tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_HOME", str(home))
    (tmp_path / "passages.jsonl").write_text(re.search(r"```json\n(.*?)```", DOCS, re.S)[1])
    commands = [shlex.split(c)[1:] for c in re.findall(r"^    \$ (burnish corpus .+)$", DOCS, re.M)]
    built = burnish(*commands[0])
    assert built.status == 0
    assert built.err.strip() in DOCS
    assert "kafka" in burnish(*commands[1]).out
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", DOCS, re.S):
        (tmp_path / name).write_text(code)
    env = environment(BURNISH_HOME=str(home))
    shown = [
        subprocess.run([sys.executable, n], cwd=tmp_path, env=env, capture_output=True, text=True)
        for n in ("find.py", "score.py")
    ]
    assert [s.returncode for s in shown] == [0, 0], shown
    assert shown[0].stdout.splitlines()[0] == "1 vltava Vltava"
    assert {line.split()[0] for line in shown[1].stdout.splitlines()} <= set(re.findall(r"`((?:flashrag|autorag)\.\w+)`", DOCS))
    run = shlex.split(re.search(r"^    (burnish run asking.+)$", DOCS, re.M)[1])[1:]
    assert burnish(*run).out.strip()
    assert "retrieve at " in burnish("runs", "show", burnish("runs", "--json").data[0]["id"]).out
