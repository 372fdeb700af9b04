"""What the tests of retrieving graphs share: a shelf of passages that is searched without an index, and a model by script."""

from __future__ import annotations

from burnish import ScriptedEngine
from burnish.core.errors import RetrievalFailed
from burnish.graphs.auto_rag import auto_rag, naive_rag
from burnish.graphs.registry import BUILTIN, check_settings
from burnish.retrieval.passage import hit_of
from burnish.traces.store import Store
from tests.helpers import rows, session

GARDEN = [
    ("rill", "The Rill", "The Rill is a brook that Ada Quill dug."),
    ("quill", "Ada Quill", "Ada Quill was born in Dorn."),
    ("dorn", "Dorn", "Dorn is a town on the Lenn."),
    ("lenn", "Lenn", "The Lenn is a river."),
    ("moss", "Moss", "Moss grows on stones."),
]
NO_LAST_RESORT = {"elicit": 0, "at_end": "give_up"}


class Shelf:
    """Passages that share a word with the query, in their order; fails from the search number `dies` on."""

    def __init__(self, passages=GARDEN, dies=None):
        self.passages, self.dies, self.asked = passages, dies, []

    @property
    def identity(self):
        return {"kind": "shelf", "passages": len(self.passages)}

    async def search(self, queries, k, exclude=()):
        self.asked += [(query, sorted(exclude)) for query in queries]
        if self.dies is not None and len(self.asked) >= self.dies:
            raise RetrievalFailed("the index died", code="unreachable", retryable=True)
        return [self._hits(query, k, exclude) for query in queries]

    def _hits(self, query, k, exclude):
        words = set(query.lower().split())
        left = [p for p in self.passages if p[0] not in exclude and words & set(f"{p[1]} {p[2]}".lower().strip(".").split())]
        return [hit_of(i, f"{title}\n{text}", 1 / n, n) for n, (i, title, text) in enumerate(left[:k], 1)]

    async def close(self):
        pass


class Model:
    """The model of a dialogue: replies in their order, then the last one again; and what it says in its other roles."""

    def __init__(self, *turns, recall="The Rill ends in the Lenn.", closed="from memory", read="by the book"):
        self.turns, self.others = turns, {"recall": recall, "closed": closed, "read": read}
        self.asked = []
        """Role and request, in the order of arrival."""

    def __call__(self, call):
        name = role(call)
        self.asked.append((name, call.prompt))
        reply = self.others[name] if name in self.others else self.turns[min(spoken(call.prompt), len(self.turns) - 1)]
        return reply(call) if callable(reply) else reply

    def roles(self):
        return [name for name, _ in self.asked]

    def prompts(self, name="think"):
        return [prompt for asked, prompt in self.asked if asked == name]


def role(call):
    for mark, name in (("Write the paragraph", "recall"), ("from what you know. Give", "closed"), ("by the documents", "read")):
        if any(mark in m.text for m in call.prompt.messages):
            return name
    return "think"


def dialogue(prompt):
    """The messages from the question on: examples come before it."""
    texts = [m.text for m in prompt.messages]
    at = max(n for n, text in enumerate(texts) if text.startswith("Question: "))
    return texts[at:]


def spoken(prompt):
    """How often the model has spoken in this dialogue."""
    return len(dialogue(prompt)) // 2


def graph(retriever=None, method=auto_rag, **settings):
    name = method.__name__
    return method(check_settings(BUILTIN[name], settings), retriever=retriever or Shelf())


def naive(retriever=None, **settings):
    return graph(retriever, naive_rag, **settings)


async def answer(path, model, retriever=None, *, task="Where does the Rill end?", budget=None, made=None, **settings):
    """One run of `auto_rag`, or of the graph `made`."""
    async with session(path, engine=ScriptedEngine(model)) as s:
        return await s.run(made or graph(retriever, **settings), task, budget=budget)


def ended(path, result):
    """Reason and details of how a run's dialogue ended."""
    store = Store.open_reader(f"sqlite:///{path}/runs.db")
    try:
        (decision,) = [d for d in store.decisions(result.run_id) if d.policy in BUILTIN]
        return decision.reason, dict(decision.details)
    finally:
        store.close()


def kinds(path):
    """Finished calls in their order: role of a model call, kind of an effect."""
    return [role or kind for role, kind in rows(path, "SELECT role, kind FROM call WHERE state = 'ok' ORDER BY seq")]
