"""What the OpenAPI document says to people: of each field what GraphQL says of it, and examples to try."""

from typing import Any

from graphql import GraphQLSchema

from gateway.http.errors import rest_body
from models.errors import RateLimited, Refusal

Described = dict[str, Any]
"""A part of the document."""

TAGS = [
    {"name": "Posts", "description": "What people write. Everyone sees what is published; the rest its author sees."},
    {"name": "Accounts", "description": "Signing in and out, by tokens or by the cookies that come along with them."},
    {"name": "Live", "description": "What happens, as it happens."},
    {"name": "Chat", "description": "A language model's answers."},
    {"name": "Webhooks", "description": "What other services tell this one."},
    {"name": "Uploads", "description": "Files in, and out again."},
    {"name": "Health", "description": "For who runs the server."},
]
TWINS = {
    "Author": "User",
    "CreatePost": "CreatePostInput",
    "Label": "Category",
    "Login": "LoginInput",
    "Pagination": "PostPage",
    "PostItem": "Post",
    "Register": "RegisterInput",
    "Session": "AuthPayload",
    "UpdatePost": "UpdatePostInput",
}
"""What is called otherwise in GraphQL; where the names are the same they mean the same."""
DONE = {"200": "What was asked for.", "201": "What was made.", "204": "Done; there is nothing to tell."}
EXAMPLES = {
    "Conversation": {"messages": [{"role": "user", "content": "What is a strop?"}]},
    "CreatePost": {
        "title": "How to sharpen a chisel",
        "content": "Slowly, and on three stones.",
        "tags": ["hand tools"],
        "status": "PUBLISHED",
    },
    "Login": {"email": "robin@example.com", "password": "a long password"},
    "Register": {"name": "Robin", "email": "robin@example.com", "password": "a long password"},
    "UpdatePost": {"excerpt": "Three stones."},
}
REQUEST_ID = "8f14e45fceea167a5a36dedd4bea2543"
WAIT = 12


def example(kind: type[Refusal]) -> Described:
    """What such a refusal looks like."""
    return {"value": rest_body(RateLimited(WAIT) if kind is RateLimited else kind(), REQUEST_ID)}


def word(document: Described, schema: GraphQLSchema) -> None:
    """Describe what nobody has described yet."""
    for name, shape in document["components"]["schemas"].items():
        if twin := schema.get_type(TWINS.get(name, name)):
            describe(shape, twin)
        if name in EXAMPLES:
            shape["examples"] = [EXAMPLES[name]]
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if response["description"] == "Successful Response":
                    response["description"] = DONE[status]


def describe(shape: Described, twin: Any) -> None:
    shape.setdefault("description", twin.description)
    fields = getattr(twin, "fields", {})
    for name, described in shape.get("properties", {}).items():
        if name in fields:
            described.setdefault("description", fields[name].description)
