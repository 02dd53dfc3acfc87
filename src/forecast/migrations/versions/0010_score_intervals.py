"""the range of a score's probability."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("score", sa.Column("probability_low", sa.Float(), nullable=True))
    op.add_column("score", sa.Column("probability_high", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("score", "probability_high")
    op.drop_column("score", "probability_low")
