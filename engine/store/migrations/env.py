"""What Alembic runs to migrate: on the connection, and in the transaction, of `engine.store.schema`."""

from __future__ import annotations

from alembic import context

from engine.store.models import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("engine.store.schema.upgrade migrates the store, and hands its connection over")
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
