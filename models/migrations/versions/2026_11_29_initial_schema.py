"""Initial schema"""

import sqlalchemy as sa
from alembic import op

revision = "bbfae4f574ab"
down_revision = None
branch_labels = None
depends_on = None

IS_PUBLIC = sa.text("status = 'PUBLISHED' AND deleted_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("categories_pkey")),
        sa.UniqueConstraint("slug", name=op.f("categories_slug_key")),
    )
    op.create_table(
        "documents",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("documents_pkey")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("hides_post", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("was_public", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
        sqlite_autoincrement=True,
    )
    op.create_index("events_at", "events", ["at"])
    op.create_table(
        "tags",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tags_pkey")),
        sa.UniqueConstraint("slug", name=op.f("tags_slug_key")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("image", sa.String(), nullable=True),
        sa.Column("role", sa.Enum("USER", "ADMIN", name="role", native_enum=False, length=16), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
        sa.UniqueConstraint("email", name=op.f("users_email_key")),
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("RECEIVED", "PROCESSED", "IGNORED", "FAILED", name="webhookstatus", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_events_pkey")),
    )
    op.create_index("webhook_events_by_status", "webhook_events", ["status", "created_at", "id"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("api_keys_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_keys_pkey")),
        sa.UniqueConstraint("key_hash", name=op.f("api_keys_key_hash_key")),
    )
    op.create_index("api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "document_ids",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["documents.sha256"], name=op.f("document_ids_sha256_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("document_ids_pkey")),
    )
    op.create_index("document_ids_sha256", "document_ids", ["sha256"])
    op.create_table(
        "document_uses",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("client_name", sa.String(), nullable=False),
        sa.Column("client_version", sa.String(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["documents.sha256"], name=op.f("document_uses_sha256_fkey")),
        sa.PrimaryKeyConstraint("sha256", "client_name", "client_version", name=op.f("document_uses_pkey")),
    )
    op.create_index("document_uses_last_used_at", "document_uses", ["last_used_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("viewer_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("changed", sa.JSON(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["viewer_id"], ["users.id"], name=op.f("idempotency_keys_viewer_id_fkey")),
        sa.PrimaryKeyConstraint("viewer_id", "key", name=op.f("idempotency_keys_pkey")),
    )
    op.create_index("idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "identities",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("identities_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("identities_pkey")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("identities_issuer_key")),
    )
    op.create_index("identities_by_email", "identities", ["issuer", "email"])
    op.create_index("identities_user_id", "identities", ["user_id"])
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("PENDING", "PAID", "EXPIRED", "REFUNDED", name="orderstatus", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("stripe_session_id", sa.String(), nullable=True),
        sa.Column("stripe_payment_intent", sa.String(), nullable=True),
        sa.Column("price_id", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount_total", sa.Integer(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("orders_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("orders_pkey")),
        sa.UniqueConstraint("stripe_session_id", name=op.f("orders_stripe_session_id_key")),
    )
    op.create_index("orders_of_user", "orders", ["user_id", "created_at", "id"])
    op.create_index("orders_stripe_payment_intent", "orders", ["stripe_payment_intent"])
    op.create_table(
        "posts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("excerpt", sa.String(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("DRAFT", "PUBLISHED", "ARCHIVED", name="poststatus", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("comment_count", sa.Integer(), nullable=False),
        sa.Column("like_count", sa.Integer(), nullable=False),
        sa.Column("folded_title", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("folded_content", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("posts_author_id_fkey")),
        sa.ForeignKeyConstraint(["category_id"], ["categories.id"], name=op.f("posts_category_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("posts_pkey")),
        sa.UniqueConstraint("slug", name=op.f("posts_slug_key")),
    )
    op.create_index("posts_by_author", "posts", ["author_id", "created_at", "id"])
    op.create_index("posts_by_category", "posts", ["category_id", "created_at", "id"])
    op.create_index(
        "posts_by_title", "posts", ["folded_title", "id"], postgresql_where=IS_PUBLIC, sqlite_where=IS_PUBLIC
    )
    op.create_index(
        "posts_most_liked", "posts", ["like_count", "id"], postgresql_where=IS_PUBLIC, sqlite_where=IS_PUBLIC
    )
    op.create_index("posts_newest", "posts", ["created_at", "id"], postgresql_where=IS_PUBLIC, sqlite_where=IS_PUBLIC)
    op.create_index("posts_public", "posts", ["id"], postgresql_where=IS_PUBLIC, sqlite_where=IS_PUBLIC)
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("refresh_tokens_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("refresh_tokens_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("refresh_tokens_token_hash_key")),
    )
    op.create_index("refresh_tokens_expires_at", "refresh_tokens", ["expires_at"])
    op.create_index("refresh_tokens_family_id", "refresh_tokens", ["family_id"])
    op.create_index("refresh_tokens_user_id", "refresh_tokens", ["user_id"])
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("stripe_subscription_id", sa.String(), nullable=False),
        sa.Column("stripe_customer_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("current_period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("subscriptions_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("subscriptions_pkey")),
        sa.UniqueConstraint("stripe_subscription_id", name=op.f("subscriptions_stripe_subscription_id_key")),
    )
    op.create_index("subscriptions_user_id", "subscriptions", ["user_id"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unattached_since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("uploads_owner_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("uploads_pkey")),
        sa.UniqueConstraint("name", name=op.f("uploads_name_key")),
    )
    op.create_index("uploads_created_at", "uploads", ["created_at"])
    op.create_index("uploads_of_owner", "uploads", ["owner_id", "created_at", "id"])
    op.create_index("uploads_unattached_since", "uploads", ["unattached_since"])
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("comments_author_id_fkey")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("comments_post_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("comments_pkey")),
    )
    op.create_index("comments_author_id", "comments", ["author_id"])
    op.create_index("comments_of_post", "comments", ["post_id", "created_at", "id"])
    op.create_table(
        "likes",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("likes_post_id_fkey")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("likes_user_id_fkey")),
        sa.PrimaryKeyConstraint("post_id", "user_id", name=op.f("likes_pkey")),
    )
    op.create_index("likes_user_id", "likes", ["user_id"])
    op.create_table(
        "post_tags",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("tag_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("post_tags_post_id_fkey")),
        sa.ForeignKeyConstraint(["tag_id"], ["tags.id"], name=op.f("post_tags_tag_id_fkey")),
        sa.PrimaryKeyConstraint("post_id", "tag_id", name=op.f("post_tags_pkey")),
    )
    op.create_index("post_tags_tag_id", "post_tags", ["tag_id"])
    op.create_table(
        "post_uploads",
        sa.Column("post_id", sa.Uuid(), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("post_uploads_post_id_fkey")),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("post_uploads_upload_id_fkey")),
        sa.PrimaryKeyConstraint("post_id", "upload_id", name=op.f("post_uploads_pkey")),
    )
    op.create_index("post_uploads_upload_id", "post_uploads", ["upload_id"])


def downgrade() -> None:
    op.drop_table("post_uploads")
    op.drop_table("post_tags")
    op.drop_table("likes")
    op.drop_table("comments")
    op.drop_table("uploads")
    op.drop_table("subscriptions")
    op.drop_table("refresh_tokens")
    op.drop_table("posts")
    op.drop_table("orders")
    op.drop_table("identities")
    op.drop_table("idempotency_keys")
    op.drop_table("document_uses")
    op.drop_table("document_ids")
    op.drop_table("api_keys")
    op.drop_table("webhook_events")
    op.drop_table("users")
    op.drop_table("tags")
    op.drop_table("events")
    op.drop_table("documents")
    op.drop_table("categories")
