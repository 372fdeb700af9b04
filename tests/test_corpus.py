"""Corpora: what is read and refused, how documents are cut, what is kept when builds fail, race or are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish import ConfigError, StoreError
from burnish.retrieval import Chunking, Corpus, build_corpus, open_retriever
from burnish.retrieval.chunks import spans
from burnish.retrieval.corpus import all_corpora, drop
from burnish.retrieval.markdown import headings
from burnish.retrieval.sources import Source
from tests.retrieval_kit import PASSAGES, HashEmbedder, home, lines

__all__ = ["home"]


def read(path, **how):
    return list(Source(path, Chunking(**how)).passages())


def test_a_jsonl_corpus_is_read_as_flashrag_writes_it(tmp_path):
    rows = [
        {"id": "0", "contents": "Title\nText\nmore", "doc_id": 7},
        {"id": 1, "contents": "no title"},
        {"id": "2", "text": "old form"},
        {"id": "3", "title": "A\nB", "text": "as DPR has it"},
    ]
    found = read(lines(tmp_path / "c.jsonl", [*rows[:2], "", *rows[2:]]))
    assert [(p.id, p.title, p.text) for p in found] == [
        ("0", "Title", "Text\nmore"),
        ("1", "", "no title"),
        ("2", "", "old form"),
        ("3", "A B", "as DPR has it"),
    ]


GOOD = '{"id": "a", "contents": "T\\nx"}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{GOOD}\n{{oops\n", "c.jsonl:2: no JSON"),
        (f"{GOOD}\n[1]\n", "c.jsonl:2: no JSON object"),
        (f"{GOOD}\n\n{GOOD}\n", "c.jsonl:3: the id 'a' comes twice"),
        ('{"contents": "x"}\n', "c.jsonl:1: the id is missing"),
        ('{"id": true, "contents": "x"}\n', "c.jsonl:1: the id is missing"),
        ('{"id": "a"}\n', "c.jsonl:1: the contents are missing"),
        ('{"id": "a", "contents": " \\n "}\n', "c.jsonl:1: the contents are missing, empty"),
        ('{"id": "a", "contents": ["x"]}\n', "c.jsonl:1: the contents are missing"),
        ('{"id": "a", "contents": "\\ud800"}\n', "c.jsonl:1: half of a surrogate pair"),
        ("[" * 100_000 + "\n", "c.jsonl:1: no JSON"),
        ("\n \n", "holds no passage"),
        ("", "holds no passage"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, text, says):
    (tmp_path / "c.jsonl").write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read(tmp_path / "c.jsonl")
    assert caught.value.hint


def test_bytes_that_are_no_utf8_are_named(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(GOOD.encode() + b'\n{"id": "b", "contents": "caf\xe9"}\n')
    with pytest.raises(ConfigError, match=r"c.jsonl:2: no UTF-8 \(byte 28 is 0xe9\)"):
        read(tmp_path / "c.jsonl")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^x.txt: no UTF-8 \(byte 0 is 0xff\)"):
        read(tmp_path / "d")


def test_a_mark_at_the_beginning_of_a_file_is_no_text(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n")
    assert read(tmp_path / "c.jsonl")[0].id == "a"


def test_a_folder_becomes_passages_with_ids_of_path_and_offset(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    text = "# Guide\n\nFirst part. It is short.\n\n## Use\n\n" + "Words go on and on. " * 30
    (tmp_path / "sub" / "guide.md").write_text(text)
    (tmp_path / "note.TXT").write_text("# no heading here\n")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "code.py").write_text("print()")
    (tmp_path / ".git" / "x.txt").write_text("hidden")
    (tmp_path / "link.txt").symlink_to(tmp_path / "note.TXT")
    source = Source(tmp_path, Chunking(size=200, overlap=30))
    found = list(source.passages())
    assert (source.files, source.empty_files) == (3, 1)
    assert found[0].id == "note.TXT#0"
    assert found[0].title == "note.TXT"
    for passage in found[1:]:
        offset = int(passage.id.removeprefix("sub/guide.md#"))
        assert text[offset:].startswith(passage.text)
        assert len(passage.text) <= 200
    assert found[1].title == "sub/guide.md: Guide"
    assert found[-1].title == "sub/guide.md: Use"


def test_an_empty_folder_and_a_missing_path_are_refused(tmp_path):
    (tmp_path / "code.py").write_text("print()")
    with pytest.raises(ConfigError, match="holds no text in"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="there is no"):
        read(tmp_path / "nowhere")


def test_paragraphs_stay_whole_where_they_fit():
    parts = ["One " * 30, "Two " * 30, "Three " * 30]
    text = "\n\n".join(part.strip() for part in parts)
    assert [text[a:b].split()[0] for a, b in spans(text, Chunking(size=200, overlap=0))] == ["One", "Two", "Three"]


def test_the_overlap_begins_at_a_sentence():
    text = " ".join(f"Sentence number {i} says something." for i in range(40))
    found = list(spans(text, Chunking(size=300, overlap=80)))
    for (_, end), (begin, _) in pairwise(found):
        assert 0 < end - begin <= 80
        assert text[begin:].startswith("Sentence number")


@given(
    st.text(st.sampled_from("ab .!。\n\t#é漢"), max_size=800) | st.text(max_size=300),
    st.integers(50, 120),
    st.integers(0, 24),
)
def test_passages_cover_a_text_and_keep_to_their_length(text, size, overlap):
    found = list(spans(text, Chunking(size=size, overlap=overlap)))
    covered = set()
    for begin, end in found:
        assert 0 < end - begin <= size
        assert text[begin:end] == text[begin:end].strip()
        covered |= set(range(begin, end))
    assert all(c.isspace() for i, c in enumerate(text) if i not in covered)
    assert [b for b, _ in found] == sorted({b for b, _ in found})


def test_headings_in_code_are_none():
    text = "# A\n```\n# comment\n```\ntext\n## C# ##\nmore\n"
    above = headings(text)
    assert above(text.index("text")) == "A"
    assert above(text.index("more")) == "C#"
    assert headings("plain\n# Later")(0) == ""


@pytest.mark.parametrize("how", [{"size": 10}, {"size": 100, "overlap": 50}, {"overlap": -1}])
def test_chunking_that_cannot_end_is_refused(how):
    with pytest.raises(ConfigError):
        Chunking(**how)


def test_a_corpus_is_built_listed_and_dropped(home, tmp_path):
    corpus = build_corpus("small", lines(tmp_path / "c.jsonl"))
    assert (corpus.size, corpus.kinds, corpus.about["form"]) == (6, ("lexical",), "jsonl")
    assert Corpus.open("small") == corpus
    assert [p.id for p in corpus.passages()] == [p[0] for p in PASSAGES]
    assert corpus.problems() == []
    assert all_corpora() == [corpus]
    drop("small", say=print)
    assert all_corpora() == []
    for gone in (Corpus.open, lambda name: drop(name, say=print)):
        with pytest.raises(ConfigError, match="no corpus 'small'"):
            gone("small")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "x" * 81, "a b"])
def test_a_name_that_is_a_path_is_refused(home, tmp_path, name):
    for use in (
        lambda: build_corpus(name, lines(tmp_path / "c.jsonl")),
        lambda: Corpus.open(name),
        lambda: drop(name, say=print),
    ):
        with pytest.raises(ConfigError):
            use()


def test_the_same_build_again_makes_nothing_again_and_an_index_is_added(home, tmp_path):
    path, said = lines(tmp_path / "c.jsonl"), []
    first = build_corpus("small", path)
    before = {f: f.stat().st_mtime_ns for f in first.folder.rglob("*")}
    embedder = HashEmbedder()
    second = build_corpus("small", path, kind="hybrid", embedder=embedder, say=said.append)
    assert said == ["the lexical index of small is there already"]
    assert (second.content, second.kinds) == (first.content, ("lexical", "dense"))
    assert all(f.stat().st_mtime_ns == t for f, t in before.items() if f.is_file())
    build_corpus("small", path, kind="hybrid", embedder=embedder)
    assert embedder.calls == 1


def test_other_passages_are_another_version_and_the_old_one_can_still_be_read(home, tmp_path):
    path = lines(tmp_path / "c.jsonl")
    old = build_corpus("small", path)
    passages = old.passages()
    new = build_corpus("small", lines(tmp_path / "c.jsonl", PASSAGES[:3]))
    assert new.content != old.content
    assert not old.folder.exists()
    assert passages[5].id == "cell"  # Still mapped.
    passages.close()
    assert Corpus.open("small").size == 3
    assert not [p for p in new.folder.parent.iterdir() if p.name.startswith(".partial")]


def test_a_build_that_fails_leaves_the_corpus_as_it_was(home, tmp_path):
    corpus = build_corpus("small", lines(tmp_path / "c.jsonl"))
    with pytest.raises(ConfigError, match="comes twice"):
        build_corpus("small", lines(tmp_path / "d.jsonl", [*PASSAGES, PASSAGES[0]]))

    class Failing(HashEmbedder):
        def embed(self, texts, *, query):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        build_corpus("small", lines(tmp_path / "d.jsonl", PASSAGES[:2]), kind="dense", embedder=Failing())
    assert Corpus.open("small") == corpus
    assert corpus.problems() == []
    assert not [p for p in corpus.folder.parent.iterdir() if p.name.startswith(".partial")]


def test_passages_are_not_cut_again(home, tmp_path):
    with pytest.raises(ConfigError, match="not cut"):
        build_corpus("small", lines(tmp_path / "c.jsonl"), chunking=Chunking(size=100, overlap=10))


@pytest.mark.parametrize("part", ["passages/passages.jsonl", "passages/offsets.npy", "lexical/indices.csc.index.npy"])
@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_a_damaged_file_is_found_and_the_mend_mends(home, tmp_path, part, how):
    path = lines(tmp_path / "c.jsonl")
    corpus = build_corpus("small", path)
    file = corpus.folder / part
    data = bytearray(file.read_bytes())
    data[-1] ^= 0xFF
    if how == "remove":
        file.unlink()
    else:
        file.write_bytes(data if how == "flip" else data[:-1])
    with pytest.raises(StoreError, match="damaged") as caught:
        open_retriever("small")
    assert caught.value.code in ("corpus_damaged", "index_damaged")
    assert f"burnish corpus build small --from {path}" in caught.value.hint
    build_corpus("small", path)
    open_retriever("small")
    assert Corpus.open("small").problems() == []


def test_a_flip_that_keeps_the_time_is_found_by_a_check(home, tmp_path):
    corpus = build_corpus("small", lines(tmp_path / "c.jsonl"))
    file = corpus.folder / "lexical" / "data.csc.index.npy"
    stat, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 0xFF
    file.write_bytes(data)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert corpus.problems() == ["lexical: data.csc.index.npy differs from its checksum"]


def test_a_folder_of_corpora_can_be_copied(home, tmp_path, monkeypatch):
    build_corpus("small", lines(tmp_path / "c.jsonl"))
    shutil.copytree(home, tmp_path / "other", copy_function=shutil.copyfile)
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "other"))
    open_retriever("small")
    assert Corpus.open("small").problems() == []


def test_an_index_of_other_passages_is_refused(home, tmp_path):
    corpus = build_corpus("small", lines(tmp_path / "c.jsonl"))
    other = build_corpus("other", lines(tmp_path / "d.jsonl", PASSAGES[::-1]))
    shutil.rmtree(corpus.folder / "lexical")
    shutil.copytree(other.folder / "lexical", corpus.folder / "lexical")
    with pytest.raises(StoreError, match="does not fit: its content is") as caught:
        open_retriever("small")
    assert "--kind lexical" in caught.value.hint


def test_an_index_by_another_embedder_is_refused(home, tmp_path):
    build_corpus("small", lines(tmp_path / "c.jsonl"), kind="dense", embedder=HashEmbedder("one"))
    with pytest.raises(StoreError, match="does not fit: its embedder"):
        open_retriever("small", embedder=HashEmbedder("two"))


def test_rubbish_in_place_of_what_names_the_version_is_no_corpus(home, tmp_path):
    corpus = build_corpus("small", lines(tmp_path / "c.jsonl"))
    current = corpus.folder.parent / "current"
    for rubbish in (b"\xff\xfe", b"../../etc", b""):
        current.write_bytes(rubbish)
        with pytest.raises(ConfigError, match="no corpus"):
            Corpus.open("small")
    current.write_text("0" * 16)
    with pytest.raises(StoreError, match="it is missing"):
        Corpus.open("small")
    assert all_corpora() == ["small"]


BUILD = """
import sys, time
from pathlib import Path
from burnish.retrieval import build_corpus
def slow(stage, done, total):
    print(stage, done, flush=True)
    time.sleep(float(sys.argv[2]))
c = build_corpus("small", Path(sys.argv[1]), progress=slow)
print("content", c.content)
"""


def child(path, pause):
    return subprocess.Popen([sys.executable, "-c", BUILD, str(path), str(pause)], stdout=subprocess.PIPE, text=True)


def test_two_builds_at_once_both_succeed(home, tmp_path):
    path = lines(tmp_path / "c.jsonl")
    builds = [child(path, 0.05) for _ in range(2)]
    ends = [b.communicate(timeout=120)[0].splitlines()[-1] for b in builds]
    assert [b.returncode for b in builds] == [0, 0]
    assert ends[0] == ends[1] == f"content {Corpus.open('small').content}"


def test_a_killed_build_leaves_nothing_behind_once_another_one_ran(home, tmp_path):
    path = lines(tmp_path / "c.jsonl")
    killed = child(path, 600)
    assert killed.stdout.readline().startswith("lexical 0")  # Passages are there, the index is being made.
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=60)
    killed.stdout.close()
    assert all_corpora() == []
    began = time.monotonic()
    corpus = build_corpus("small", path)
    assert time.monotonic() - began < 60
    assert {p.name for p in corpus.folder.parent.iterdir()} == {"current", corpus.folder.name}
    assert json.loads((corpus.folder / "lexical" / "about.json").read_text())["content"] == corpus.content


def test_a_home_that_cannot_be_written_is_a_store_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="cannot store the corpus") as caught:
        build_corpus("small", lines(tmp_path / "c.jsonl"))
    assert "BURNISH_HOME" in caught.value.hint
