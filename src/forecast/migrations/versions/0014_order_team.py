"""the team that an order names, beside that of its owner."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order", sa.Column("team_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("order", "team_id")
