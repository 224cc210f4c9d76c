"""Replays with leases, attempts and outcomes; experiments; which replay made a trace"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Nothing has ever written these two.
    op.drop_index("ix_replays_status", table_name="replays")
    op.drop_table("replays")
    op.create_table(
        "replays",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("replay_id", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", sa.Text(), nullable=False),
        sa.Column("source_trace_id", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("framework", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("edits", sa.Text(), nullable=False),
        sa.Column("live_tools", sa.Text(), nullable=False),
        sa.Column("timeout_seconds", sa.Float(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("cancel", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("steps", sa.Text(), nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.Column("started_at", BIG, nullable=True),
        sa.Column("ended_at", BIG, nullable=True),
        sa.Column("claimed_until", BIG, nullable=False),
        sa.Column("cursor", BIG, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "replay_id"),
    )
    op.create_index("ix_replays_status", "replays", ["status", "created_at"])
    op.create_index("ix_replays_source", "replays", ["project_id", "source_trace_id"])
    op.create_index("ix_replays_trace_id", "replays", ["project_id", "trace_id"])
    op.create_index("ix_replays_experiment_id", "replays", ["experiment_id"])
    op.create_index("ix_replays_cursor", "replays", ["cursor"], unique=True)
    op.create_table(
        "experiments",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", sa.Text(), nullable=False),
        sa.Column("source_trace_id", sa.Text(), nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "experiment_id"),
    )
    op.add_column("traces", sa.Column("replay_id", sa.Text(), nullable=True))
    op.create_index(
        "ix_traces_replay_id",
        "traces",
        ["project_id", "replay_id"],
        sqlite_where=sa.text("replay_id IS NOT NULL"),
        postgresql_where=sa.text("replay_id IS NOT NULL"),
    )
    op.create_index(
        "ix_traces_replay_of",
        "traces",
        ["project_id", "replay_of"],
        sqlite_where=sa.text("replay_of IS NOT NULL"),
        postgresql_where=sa.text("replay_of IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_traces_replay_of", table_name="traces")
    op.drop_index("ix_traces_replay_id", table_name="traces")
    op.drop_column("traces", "replay_id")
    op.drop_table("experiments")
    for index in ("cursor", "experiment_id", "trace_id", "source", "status"):
        op.drop_index(f"ix_replays_{index}", table_name="replays")
    op.drop_table("replays")
    op.create_table(
        "replays",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("replay_id", sa.Text(), nullable=False),
        sa.Column("checkpoint_id", sa.Text(), nullable=False),
        sa.Column("source_trace_id", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("edits", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.Column("claimed_until", BIG, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "replay_id"),
    )
    op.create_index("ix_replays_status", "replays", ["status", "created_at"])
