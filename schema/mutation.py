"""What can be done: a table of contents."""

from uuid import UUID

from resolvers import accounts, comments, payments, posts
from resolvers.passwords import HASH_COST
from resolvers.stripe import webhooks
from schema.fields import answered, does
from schema.types import AuthPayload, Checkout, Comment, Post, WebhookEvent


@answered
class Mutation:
    """What can be done. Each field is a transaction of its own; they run one after another."""

    register: AuthPayload = does(accounts.register, points=HASH_COST)
    login: AuthPayload = does(accounts.login, points=HASH_COST)

    create_post: Post = does(posts.create)
    update_post: Post = does(posts.update)
    publish_post: Post = does(posts.publish)
    archive_post: Post = does(posts.archive)
    delete_post: UUID = does(posts.delete)
    restore_post: Post = does(posts.restore)
    like_post: Post = does(posts.like)
    unlike_post: Post = does(posts.unlike)

    add_comment: Comment = does(comments.add)
    delete_comment: UUID = does(comments.delete)

    create_checkout: Checkout = does(payments.checkout, points=50)
    replay_webhook_event: WebhookEvent = does(webhooks.replay)
