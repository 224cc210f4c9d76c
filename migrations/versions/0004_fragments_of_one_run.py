"""Fragments of one run"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# See the first migration: without these SQLite reads whole tables.
STATISTICS = {
    ("fragments", "sqlite_autoindex_fragments_1"): "60000 60000 1",
    ("fragments", "ix_fragments_joined_id"): "60000 60000 20",
    ("join_keys", "join_keys"): "600000 600000 10 1",
    ("join_keys", "ix_join_keys_key"): "600000 600000 2 1",
    ("traces", "ix_traces_start_time"): "60000 60000 60000 1",
}


def upgrade() -> None:
    op.create_table(
        "fragments",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("joined_id", sa.Text(), nullable=False),
        sa.Column("joined_to", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("apart", sa.Integer(), nullable=False),
        sa.Column("by_hand", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "trace_id"),
    )
    op.create_index("ix_fragments_joined_id", "fragments", ["project_id", "joined_id"])
    op.create_table(
        "join_keys",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("start_time", BIG, nullable=False),
        sa.Column("end_time", BIG, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_join_keys_key", "join_keys", ["project_id", "key", "start_time"])
    op.add_column("traces", sa.Column("part_of", sa.Text(), nullable=False, server_default=""))
    op.add_column("traces", sa.Column("parts", sa.Integer(), nullable=False, server_default="0"))
    op.drop_index("ix_traces_start_time", table_name="traces")
    op.create_index("ix_traces_start_time", "traces", ["project_id", "part_of", "start_time"])
    op.add_column(
        "analyses", sa.Column("accounting", sa.Text(), nullable=False, server_default="{}")
    )
    op.execute("INSERT INTO counters (name, value) VALUES ('joins', 0)")
    if op.get_bind().dialect.name == "sqlite":
        seed_statistics()


def seed_statistics() -> None:
    connection = op.get_bind()
    for (table, index), stat in STATISTICS.items():
        connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE idx = ?", (index,))
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", (table, index, stat)
        )
    op.execute("ANALYZE sqlite_schema")


def downgrade() -> None:
    for rows in ("agents", "agent_messages", "checkpoints", "failure_annotations", "analyses",
                 "trace_models", "trace_facets"):  # fmt: skip
        joined = "SELECT trace_id FROM traces WHERE parts > 0"
        op.execute(f"DELETE FROM {rows} WHERE trace_id IN ({joined})")
    op.execute("DELETE FROM traces WHERE parts > 0")
    op.execute("DELETE FROM counters WHERE name = 'joins'")
    op.drop_column("analyses", "accounting")
    op.drop_index("ix_traces_start_time", table_name="traces")
    op.create_index("ix_traces_start_time", "traces", ["project_id", "start_time"])
    op.drop_column("traces", "parts")
    op.drop_column("traces", "part_of")
    op.drop_index("ix_join_keys_key", table_name="join_keys")
    op.drop_table("join_keys")
    op.drop_index("ix_fragments_joined_id", table_name="fragments")
    op.drop_table("fragments")
