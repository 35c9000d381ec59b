"""Events say what everyone could see"""

import sqlalchemy as sa
from alembic import op

revision = "b52f07c9d1e4"
down_revision = "8d41f6a0c27b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("was_public", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    op.drop_column("events", "was_public")
