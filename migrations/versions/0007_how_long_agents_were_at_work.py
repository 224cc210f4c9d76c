"""How long agents were at work"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("agents", sa.Column("busy", BIG, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("agents", "busy")
