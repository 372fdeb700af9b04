"""A model of a few lines that takes part in Auto-RAG's dialogue, to see how it goes without a model.

It looks up the longest name of the question, then the name that the newest document tells of it, and answers with the place.
"""

import re

QUESTION = re.compile(r"Question: (.*)")
DOCUMENT = re.compile(r"Retrieved Document_\d+: \[(.*?)\] (.*)")


def reply(call):
    turns = [m.text for m in call.prompt.messages if m.role == "user"]
    begin = max(n for n, text in enumerate(turns) if QUESTION.match(text))
    names = re.findall(r"[A-Z]\w+(?: [A-Z]\w+)*", turns[begin].removeprefix("Question: ").partition(" ")[2])
    documents = [DOCUMENT.match(text) for text in turns[begin + 1 :]]
    if not documents:
        return f"Analysis: I look up {names[0]}.\nInitial Query: {names[0]}"
    title, text = documents[-1].groups()
    if born := re.search(r"was born in ([A-Z]\w+(?: [A-Z]\w+)*)", text):
        return f"Intermediate Answer_{len(documents)}: {title} was born in {born[1]}.\nFinal Answer: {born[1]}"
    who = re.search(r"by (?:the \w+ )?([A-Z]\w+ [A-Z]\w+)", text)
    return f"Intermediate Answer_{len(documents)}: {title} was made by {who[1]}.\nRefined Query: {who[1]}"
