"""The root type `Mutation`: a table of contents of the operations."""

from uuid import UUID

from resolvers import accounts, comments, payments, posts
from resolvers.passwords import HASH_COST
from resolvers.stripe import webhooks
from schema.fields import mutation, object_type
from schema.types import AuthPayload, Checkout, Comment, Post, WebhookEvent


@object_type
class Mutation:
    """Operations that change data. Each field runs in its own transaction, one after another."""

    register: AuthPayload = mutation(accounts.register, points=HASH_COST)
    login: AuthPayload = mutation(accounts.login, points=HASH_COST)

    create_post: Post = mutation(posts.create)
    update_post: Post = mutation(posts.update)
    publish_post: Post = mutation(posts.publish)
    archive_post: Post = mutation(posts.archive)
    delete_post: UUID = mutation(posts.delete)
    restore_post: Post = mutation(posts.restore)
    like_post: Post = mutation(posts.like)
    unlike_post: Post = mutation(posts.unlike)

    add_comment: Comment = mutation(comments.add)
    delete_comment: UUID = mutation(comments.delete)

    create_checkout: Checkout = mutation(payments.checkout, points=50)
    replay_webhook_event: WebhookEvent = mutation(webhooks.replay)
