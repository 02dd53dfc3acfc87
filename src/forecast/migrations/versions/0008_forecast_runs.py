"""Revenue forecasts that were made: runs, their cells, and the open opportunities as they were seen."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "forecast_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("as_of", MOMENT, nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("remarks", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forecast_run")),
    )
    op.create_index(
        "uq_forecast_run",
        "forecast_run",
        ["as_of", "version", "digest"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    numbers = ("won", "open", "new", "mean", "lo_50", "hi_50", "lo_80", "hi_80", "lo_95", "hi_95")
    op.create_table(
        "forecast_cell",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("unit_name", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Float(), nullable=False) for name in numbers),
        sa.Column("series", sa.Float(), nullable=True),
        sa.Column("draws", postgresql.ARRAY(sa.REAL()), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "level", "unit_id", "month", name=op.f("pk_forecast_cell")),
    )
    op.create_table(
        "forecast_opportunity",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("opportunity_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("name", "owner_id", "team_id", "stage")),
        sa.Column("amount", sa.Float(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("expected_close_on", sa.Date(), nullable=True),
        sa.Column("forecast_category", sa.Text(), nullable=True),
        sa.Column("seller_probability", sa.Float(), nullable=True),
        sa.Column("win_probability", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "opportunity_id", name=op.f("pk_forecast_opportunity")),
    )


def downgrade() -> None:
    for table in ("forecast_opportunity", "forecast_cell", "forecast_run"):
        op.drop_table(table)
