"""What people and models say about failures"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("comment", sa.Text(), nullable=False, server_default=""),
        sa.Column("found_mode", sa.Text(), nullable=True),
        sa.Column("also_by", sa.Text(), nullable=False, server_default="[]"),
    ):
        op.add_column("failure_annotations", column)
    op.add_column(
        "analyses", sa.Column("decisive", sa.Text(), nullable=False, server_default="[]")
    )
    op.create_table(
        "judgements",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("transcript_hash", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "transcript_hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "judge_calls",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("tokens_in", BIG, nullable=False),
        sa.Column("tokens_out", BIG, nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "call_id"),
    )
    op.create_index("ix_judge_calls_at", "judge_calls", ["at"])
    op.execute("INSERT INTO counters (name, value) VALUES ('thresholds', 0)")


def downgrade() -> None:
    op.execute("DELETE FROM counters WHERE name = 'thresholds'")
    op.drop_index("ix_judge_calls_at", table_name="judge_calls")
    op.drop_table("judge_calls")
    op.drop_table("judgements")
    op.drop_column("analyses", "decisive")
    for column in ("also_by", "found_mode", "comment"):
        op.drop_column("failure_annotations", column)
