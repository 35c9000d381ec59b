"""Who is measured, on which database, at what."""

import sys
from dataclasses import dataclass, field

COMMON = ["--host", "127.0.0.1", "--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
GRAPHQL = ("L", "D", "T")
REST = ("GET list", "GET post")
READS = ("L", "D", *REST)


@dataclass(frozen=True)
class Contender:
    """`command` is run with the port in its place; `speaks` says whose schema the documents are written for."""

    name: str
    command: tuple[str, ...]
    workloads: tuple[str, ...]
    database: str = "postgres"
    environment: dict[str, str] = field(default_factory=dict)
    speaks: str = "dovetail"

    @property
    def on_node(self) -> bool:
        return self.command[0] == "node"


def gateway(name: str, workloads: tuple[str, ...], *, workers: int = 1, cache: str = "off", **more: str) -> Contender:
    serve = [sys.executable, "-m", "gateway", "serve", "--workers", str(workers), "--port", "{port}"]
    return Contender(name, tuple(serve), workloads, environment={"RESPONSE_CACHE": cache}, **more)


def python(name: str, module: str, workloads: tuple[str, ...], **more: str) -> Contender:
    serve = [sys.executable, "-m", "uvicorn", f"tests.benchmarks.{module}:app", *COMMON, "--port", "{port}"]
    return Contender(name, tuple(serve), workloads, **more)


def node(name: str, file: str, **more: str) -> Contender:
    return Contender(name, ("node", f"{file}.js"), GRAPHQL, **more)


def contenders() -> list[Contender]:
    return [
        gateway("gateway", (*GRAPHQL, "L, signed in", *REST, "304")),
        gateway("gateway, cached", (*READS, "304"), cache="on"),
        gateway("gateway, two workers", GRAPHQL, workers=2),
        gateway("gateway, SQLite", ("L", "D"), database="sqlite"),
        gateway("gateway", ("createPost",), database="writes"),
        python("floor", "floor", GRAPHQL),
        python("floor, counting", "floor", ("L",), environment={"FLOOR_COUNTS": "yes"}),
        python("floor", "floor", ("createPost",), database="writes"),
        python("Strawberry + SQLModel", "plain", GRAPHQL),
        python("FastAPI + SQLModel", "plain_rest", REST),
        python("FastAPI + SQLModel", "plain_rest", ("createPost",), database="writes", speaks="rest"),
        node("GraphQL Yoga + jit", "yoga"),
        node("Mercurius + jit", "mercurius"),
        node("PostGraphile 5", "postgraphile", speaks="postgraphile"),
    ]
