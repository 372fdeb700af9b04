"""Finding: corpora and retrievers. Lands with the Auto-RAG graphs."""
