"""Events say what went from sight"""

import sqlalchemy as sa
from alembic import op

revision = "8d41f6a0c27b"
down_revision = "302c8aa96dd8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("hides", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("events", "hides")
