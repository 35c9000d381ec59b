"""Runs in a process of its own, over a copy of the code that `docs/adding-an-entity.md` has been applied to.

python walk.py URL < questions.json      → the answers, as JSON
"""

import asyncio
import json
import sys
from typing import Any

from gateway.graphql.database import open_reads
from gateway.graphql.engine import Engine, GraphQLRequest
from models import Bookmark, Database, Post, PostStatus, User, Viewer
from resolvers import RequestContext
from resolvers.tokens import Tokens
from schema import schema

ANN, SAM = (User(name=name, email=f"{name}@example.com") for name in ("Ann", "Sam"))
POST = Post(title="A post", slug="a-post", content="Long enough.", status=PostStatus.PUBLISHED, author_id=ANN.id)
VIEWERS = {"": Viewer(ANN.id), "as a stranger": Viewer(SAM.id), "signed out": None}
VARIABLES = {"post": str(POST.id), "note": "x" * 201}


async def answers(url: str, questions: list[dict[str, str]]) -> list[Any]:
    db, reads = Database(url), await open_reads(url, size=1)
    async with db.engine.begin() as connection:
        await connection.run_sync(Bookmark.__table__.create)
    async with db.writing() as session:
        session.add_all([ANN, SAM])
        await session.flush()
        session.add(POST)
    engine = Engine(schema, reads)
    told = [await answer(engine, db, **question) for question in questions]
    await reads.close()
    await db.close()
    return told


async def answer(engine: Engine, db: Database, source: str, viewer: str) -> Any:
    asking = VIEWERS[viewer]
    ctx = RequestContext(db=db, tokens=Tokens("s" * 40), viewer=asking)
    told = json.loads((await engine.answer(GraphQLRequest(source, VARIABLES), ctx)).body)
    if "errors" not in told:
        return told["data"]
    extensions = told["errors"][0]["extensions"]
    return {name: extensions.get(name) for name in ("code", "details")} if told.get("data", 1) is None else told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(answers(sys.argv[1], json.load(sys.stdin)))))
