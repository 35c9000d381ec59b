"""What public posts are counted by"""

import sqlalchemy as sa
from alembic import op

revision = "e7a90c3b51d8"
down_revision = "c4d83b1f7a90"
branch_labels = None
depends_on = None

PUBLIC = sa.text("status = 'PUBLISHED' AND deleted_at IS NULL")


def upgrade() -> None:
    op.create_index("posts_public", "posts", ["id"], postgresql_where=PUBLIC, sqlite_where=PUBLIC)


def downgrade() -> None:
    op.drop_index("posts_public", "posts")
