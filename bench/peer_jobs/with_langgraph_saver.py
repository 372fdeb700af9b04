"""Plain LangGraph with its SQLite saver, so that a killed run can go on."""

import os
import tempfile
import uuid

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from with_langgraph import graph

folder = tempfile.TemporaryDirectory()


async def job(n, width):
    async with AsyncSqliteSaver.from_conn_string(os.path.join(folder.name, "state.db")) as saver:
        config = {"configurable": {"thread_id": str(uuid.uuid4())}, "max_concurrency": width}
        return (await graph().compile(checkpointer=saver).ainvoke({"wanted": n}, config))["best"]
