"""Alembic's migrations of the store. Nothing imports them but Alembic, and that only for an old file."""
