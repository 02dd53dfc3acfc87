"""median revenue, margin, alerts and next products of account scores."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NUMBERS = ("median_revenue", "expected_margin", "expected_margin_low", "expected_margin_high")
LISTS = ("alerts", "next_products")


def upgrade() -> None:
    for name in NUMBERS:
        op.add_column("account_score", sa.Column(name, sa.Float(), nullable=True))
    for name in LISTS:
        kind = postgresql.JSONB(astext_type=sa.Text())
        op.add_column("account_score", sa.Column(name, kind, server_default="[]", nullable=False))
    op.create_index(
        "ix_account_score_alerts",
        "account_score",
        ["account_id"],
        postgresql_where=sa.text("latest AND alerts <> '[]'::jsonb"),
    )


def downgrade() -> None:
    op.drop_index("ix_account_score_alerts", table_name="account_score")
    for name in (*NUMBERS, *LISTS):
        op.drop_column("account_score", name)
