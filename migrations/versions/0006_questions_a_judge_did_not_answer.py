"""Questions a judge did not answer"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("judge_calls", sa.Column("error", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM judge_calls WHERE error IS NOT NULL")
    op.drop_column("judge_calls", "error")
