"""A digest of the imported row in every record."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    *("account", "activity", "campaign", "case", "contact", "feedback", "lead", "opportunity", "order", "order_line"),
    *("person", "pipeline", "product", "quota", "quote", "stage", "team"),
)


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("import_digest", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "import_digest")
