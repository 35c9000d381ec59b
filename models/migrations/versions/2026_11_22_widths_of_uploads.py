"""The widths of uploads, and since when no post points at them"""

import sqlalchemy as sa
from alembic import op

revision = "c4d83b1f7a90"
down_revision = "ff777ea1ab1b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.add_column(sa.Column("width", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("loose_since", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE uploads SET loose_since = created_at")
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.alter_column("loose_since", existing_type=sa.DateTime(timezone=True), nullable=False)
        batch_op.create_index(batch_op.f("uploads_loose_since"), ["loose_since"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("uploads_loose_since"))
        batch_op.drop_column("loose_since")
        batch_op.drop_column("width")
