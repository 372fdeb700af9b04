"""Runs the revisions within the transaction that `traces/migrate.py` has begun on its connection."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
