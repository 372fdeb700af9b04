"""What the benchmark of a round measures are rounds."""

from burnish import ScriptedEngine
from burnish.bench import rag
from tests.helpers import rows, session


async def test_its_dialogues_have_as_many_rounds_as_it_says(tmp_path):
    async with session(tmp_path, engine=ScriptedEngine(rag._reply)) as s:
        assert await rag._seconds(s, rag._graph(rag.MORE), "What?") > 0
    kinds = rows(tmp_path, "SELECT kind, count(*) FROM call WHERE state = 'ok' GROUP BY kind ORDER BY kind")
    assert kinds == [("generate", rag.MORE + 1), ("retrieve", rag.MORE)]
    assert rows(tmp_path, "SELECT reason FROM decision") == [("exhausted",)]
