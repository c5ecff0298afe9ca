"""Results per artifact and destination: a destination may store one database of a set and fail another.

What the first schema knew is kept: where a destination succeeded, it held every artifact that was made;
where it did not, the artifact that it names as its `path` is known to be there, and of the others only
that the destination did not succeed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and fill it from the destinations' results."""
    op.create_table(
        "copies",
        sa.Column("execution_id", sa.String(), nullable=False),
        sa.Column("destination_id", sa.String(), nullable=False),
        sa.Column("database", sa.String(), nullable=False),
        sa.Column("artifact", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("proof", sa.String(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("bytes_sent", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["executions.id"],
            name=op.f("fk_copies_execution_id_executions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("execution_id", "destination_id", "database", name=op.f("pk_copies")),
    )
    op.execute(
        """
        INSERT INTO copies
            (execution_id, destination_id, database, artifact, status, proof, error, bytes_sent)
        SELECT execution_id, destination_id, database, name,
            CASE WHEN stored THEN 'Success' ELSE result END,
            CASE WHEN stored THEN proof END,
            CASE WHEN stored THEN NULL ELSE why END,
            CASE WHEN stored THEN coalesce(size, 0) ELSE 0 END
        FROM (
            SELECT a.execution_id, d.destination_id, a.database, a.name, a.size, d.proof,
                d.status AS result, d.error AS why,
                d.status = 'Success' OR (d.path IS NOT NULL AND d.path = a.name) AS stored
            FROM artifacts AS a
            JOIN destination_results AS d ON d.execution_id = a.execution_id
            WHERE a.status = 'Success'
        )
        """
    )
