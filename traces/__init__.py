"""Storing: the durable record of runs in a SQL database, and reading it again. Nothing is imported here: SQLAlchemy is heavy."""
