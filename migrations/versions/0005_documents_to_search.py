"""Documents to search"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# See the first migration: without it SQLite reads whole tables.
STATISTIC = ("documents", "ix_documents_trace_id", "120000 2")


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("doc", BIG, autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("first", BIG, nullable=False),
        sa.Column("last", BIG, nullable=False),
        sa.PrimaryKeyConstraint("doc"),
    )
    op.create_index("ix_documents_trace_id", "documents", ["trace_id"])
    had_full_text = sa.inspect(op.get_bind()).has_table("span_search")
    drop("span_search", "message_search")
    if had_full_text:
        create("word_search")
    for counter in ("document", "searchable_messages"):
        op.execute(f"INSERT INTO counters (name, value) VALUES ('{counter}', 0)")
    # What is stored is indexed anew, as if it had just come.
    op.execute("UPDATE counters SET value = 0 WHERE name = 'searchable'")
    if op.get_bind().dialect.name == "sqlite":
        op.get_bind().exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", STATISTIC
        )
        op.execute("ANALYZE sqlite_schema")


def downgrade() -> None:
    had_full_text = sa.inspect(op.get_bind()).has_table("word_search")
    drop("word_search")
    if had_full_text:
        create("span_search", "message_search")
    op.execute("DELETE FROM counters WHERE name IN ('document', 'searchable_messages')")
    op.execute("UPDATE counters SET value = 0 WHERE name = 'searchable'")
    # Messages were indexed as they were found, so they have to be found anew.
    op.execute("DELETE FROM agent_messages")
    op.execute("UPDATE traces SET version = version + 1")
    op.drop_index("ix_documents_trace_id", table_name="documents")
    op.drop_table("documents")


def drop(*names: str) -> None:
    for name in names:
        op.execute(f"DROP TABLE IF EXISTS {name}")


def create(*names: str) -> None:
    for name in names:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(
                f"CREATE VIRTUAL TABLE {name} USING fts5("
                "content, content='', tokenize='unicode61 remove_diacritics 2')"
            )
        else:
            op.execute(f"CREATE TABLE {name} (doc BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)")
            op.execute(f"CREATE INDEX ix_{name}_words ON {name} USING GIN (words)")
