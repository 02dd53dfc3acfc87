"""what the customer model says of accounts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "account_score",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("probability_active", sa.Float(), nullable=False),
        sa.Column("expected_orders", sa.Float(), nullable=False),
        sa.Column("expected_orders_low", sa.Float(), nullable=False),
        sa.Column("expected_orders_high", sa.Float(), nullable=False),
        sa.Column("expected_revenue", sa.Float(), nullable=False),
        sa.Column("expected_revenue_low", sa.Float(), nullable=False),
        sa.Column("expected_revenue_high", sa.Float(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("potential", sa.Text(), nullable=False),
        sa.Column("next_order_at", MOMENT, nullable=True),
        sa.Column("next_order_low", MOMENT, nullable=True),
        sa.Column("next_order_high", MOMENT, nullable=True),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("latest", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("scored_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_score")),
    )
    op.create_index("ix_account_score_account", "account_score", ["account_id", "as_of"])
    op.create_index(
        "uq_account_score_latest", "account_score", ["account_id"], unique=True, postgresql_where=sa.text("latest")
    )
    op.create_index(
        "ix_account_score_value",
        "account_score",
        [sa.literal_column("expected_revenue DESC"), "account_id"],
        postgresql_where=sa.text("latest"),
    )


def downgrade() -> None:
    op.drop_table("account_score")
