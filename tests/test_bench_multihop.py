"""The benchmark of searching again, on a scripted model and questions of our own: what was shown is what is counted."""

import json

import pytest

from burnish.bench import multihop as bench
from burnish.bench.sets import hotpotqa
from burnish.engine.scripted import ScriptedEngine

PEOPLE = [("Ada Quill", "Lowmere"), ("Bram Holt", "Fennick"), ("Cora Dane", "Ostley")]
FILLER = [(f"Pond {i}", f"Pond {i} is a pond of no note, near a garden of some size.") for i in range(20)]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A set in HotpotQA's form: who designed a garden, and where that person was born."""
    folder = tmp_path / "data" / "hipporag_multihop"
    folder.mkdir(parents=True)
    passages, questions = list(FILLER), []
    for i, (person, town) in enumerate(PEOPLE):
        garden = (f"Garden {i}", f"Garden {i} was designed by {person}.")
        born = (person, f"{person} was born in {town}.")
        passages += [garden, born]
        context = [[title, [text]] for title, text in (garden, born)]
        questions.append(
            {
                "_id": f"q{i}",
                "question": f"In which town was the designer of Garden {i} born?",
                "answer": town,
                "supporting_facts": [[garden[0], 0], [person, 0]],
                "context": context,
                "type": "bridge",
                "level": "easy",
            }
        )
    (folder / "hotpotqa_train.json").write_text(json.dumps(questions))
    (folder / "hotpotqa_train_corpus.json").write_text(json.dumps({t: [x] for t, x in passages}))
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(hotpotqa.DATA_VARIABLE, str(tmp_path / "data"))
    return folder


def model(call):
    """Looks up the garden, then the person that it says, then answers with the town."""
    last = call.prompt.messages[-1].text
    if last.startswith("Question: "):
        return f"Analysis: x\nInitial Query: {last.split('designer of ')[1].split(' born')[0]}"
    town = next((t for p, t in PEOPLE if f"{p} was born in {t}" in last), "")
    if last.startswith("Retrieved Document"):
        person = next((p for p, _ in PEOPLE if f"designed by {p}" in last), "")
        return f"Intermediate Answer: x\nFinal Answer: {town}" if town else f"Intermediate Answer: x\nRefined Query: {person}"
    return town or "unknown"


def test_searching_again_finds_what_one_search_does_not(data, tmp_path, capsys):
    size = ["--limit", "3", "-k", "1", "--rounds", "3", "--most", "2"]
    where = ["--store", str(tmp_path / "runs.db"), "--out", str(tmp_path / "out")]
    assert bench.main([*size, *where], ScriptedEngine(model)) == 0
    found = json.loads((tmp_path / "out" / "multihop-default.json").read_text())["found"]
    assert "closed_book" not in found
    auto = found["auto_rag"]
    assert (auto["documents"], auto["searches"], auto["stops"]) == (2.0, 2.0, {"answered": 3})
    assert auto["all_gold"]["value"] == 1.0
    assert auto["all_gold_ceiling"]["value"] == 1.0
    assert auto["all_gold_once"]["value"] < 1.0
    assert auto["gap_closed"] == 1.0
    assert found["naive"]["gain"]["value"] == 0.0
    out = capsys.readouterr().out
    assert "GAP CLOSED" in out
    assert "auto_rag ended: answered 3" in out


def test_without_data_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(hotpotqa.DATA_VARIABLE, raising=False)
    assert bench.main(["--store", str(tmp_path / "r.db")], ScriptedEngine("x")) == 2
    assert "error:" in capsys.readouterr().err
