"""Runs GraphQL queries on a copy of the code that has the changes of `docs/adding-an-entity.md`, in its own process.

python run_queries.py DATABASE_URL < queries.json      → the results, as JSON
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
VIEWERS = {"": Viewer(ANN.id), "as another user": Viewer(SAM.id), "anonymous": None}
VARIABLES = {"post": str(POST.id), "note": "x" * 201}


async def run_queries(url: str, queries: list[dict[str, str]]) -> list[Any]:
    db, reads = Database(url), await open_reads(url, size=1)
    async with db.engine.begin() as connection:
        await connection.run_sync(Bookmark.__table__.create)
    async with db.writing() as session:
        session.add_all([ANN, SAM])
        await session.flush()
        session.add(POST)
    engine = Engine(schema, reads)
    results = [await run_query(engine, db, **query) for query in queries]
    await reads.close()
    await db.close()
    return results


async def run_query(engine: Engine, db: Database, source: str, viewer: str) -> Any:
    """Return the data of a query; if it has none, the code and the details of its error."""
    ctx = RequestContext(db=db, tokens=Tokens("s" * 40), viewer=VIEWERS[viewer])
    result = json.loads((await engine.execute(GraphQLRequest(source, VARIABLES), ctx)).body)
    if "errors" not in result:
        return result["data"]
    extensions = result["errors"][0]["extensions"]
    return {name: extensions.get(name) for name in ("code", "details")} if result.get("data", 1) is None else result


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_queries(sys.argv[1], json.load(sys.stdin)))))
