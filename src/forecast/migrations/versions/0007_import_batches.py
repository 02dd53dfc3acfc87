"""Which import of several tables a run belongs to, so that one that was interrupted can be resumed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_run", sa.Column("batch", sa.Text(), nullable=True))
    op.add_column("import_run", sa.Column("place", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("import_run", "place")
    op.drop_column("import_run", "batch")
