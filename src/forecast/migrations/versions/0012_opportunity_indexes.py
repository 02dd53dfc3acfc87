"""only indexes that a query of the program uses: opportunities are looked up by owner while they are open."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_opportunity_closed_at", table_name="opportunity")
    op.drop_index(op.f("ix_opportunity_owner_id"), table_name="opportunity")
    op.create_index(
        "ix_opportunity_owner_open", "opportunity", ["owner_id"], postgresql_where=sa.text("status = 'open'")
    )


def downgrade() -> None:
    op.drop_index("ix_opportunity_owner_open", table_name="opportunity")
    op.create_index(op.f("ix_opportunity_owner_id"), "opportunity", ["owner_id"], unique=False)
    op.create_index("ix_opportunity_closed_at", "opportunity", ["closed_at"], unique=False)
