"""The history of the schema, one Alembic revision a step; run by `traces/migrate.py`."""
