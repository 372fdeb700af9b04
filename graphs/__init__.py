"""LangGraph graphs: the built-in ones, the search node, and how a user's own is found and placed."""
