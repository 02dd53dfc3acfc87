"""the trend of a score, and ratings in grade policies."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("score", sa.Column("trend", sa.Text(), nullable=True))
    op.add_column("grade_policy", sa.Column("rating_high", sa.Float(), nullable=True))
    op.add_column("grade_policy", sa.Column("rating_low", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("grade_policy", "rating_low")
    op.drop_column("grade_policy", "rating_high")
    op.drop_column("score", "trend")
