"""Apollo Client's persisted-query link, and the manifests of Apollo's and Relay's build tools, by which clients ask."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.test_typescript import SCHEMA, run
from tests.support.servers import build_environment, run_gateway

TITLE, SLUG = "Asked for by its name", "asked-for-by-its-name"
REGISTER = """mutation {
    register(input: {name: "Ann", email: "ann@example.com", password: "correct horse"}) { accessToken }
}"""
CREATE = f"""mutation {{
    createPost(input: {{title: "{TITLE}", content: "Long enough to be content.", status: PUBLISHED}}) {{ slug }}
}}"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('documents')}/gateway.db"


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with a post for everybody to read."""
    with run_gateway(tmp_path_factory.mktemp("server"), database) as address:
        token = ask(address, query=REGISTER)["data"]["register"]["accessToken"]
        written = ask(address, {"Authorization": f"Bearer {token}"}, query=CREATE)
        assert written == {"data": {"createPost": {"slug": SLUG}}}
        yield address


@pytest.fixture
def command(database: str, askers: Path) -> Callable[..., str]:
    """Runs a command, beside the manifests."""

    def said(*arguments: str) -> str:
        ran = [sys.executable, "-c", "from gateway.cli import app; app()", *arguments]
        done = subprocess.run(
            ran, cwd=askers, env=build_environment(database), capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return said


@pytest.fixture
def relays(askers: Path) -> str:
    """The id that Relay's compiler gave to its page; Apollo's tool makes a manifest of the same."""
    shutil.copy(SCHEMA, askers)
    (askers / "persisted_queries.json").write_text("{}")
    (askers / "relay" / "__generated__").mkdir()
    run("node", "node_modules/relay-compiler/cli.js", folder=askers)
    run("node", "node_modules/@apollo/generate-persisted-query-manifest/cli.js", folder=askers)
    (id,) = json.loads((askers / "persisted_queries.json").read_text())
    assert f'"id": "{id}"' in (askers / "relay" / "__generated__" / "PageQuery.graphql.js").read_text()
    return id


def ask(address: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return httpx.post(f"{address}/graphql", json=body, headers=headers).json()


def asking(askers: Path, address: str, how: str) -> tuple[list[str], list[list[Any]]]:
    """What Apollo Client was answered, and the requests that it took."""
    said = json.loads(run("node", "ask.js", address, how, SLUG, folder=askers))
    return said["answers"], said["requests"]


@pytest.mark.parametrize(("how", "method"), [("post", "POST"), ("get", "GET")])
def test_apollos_link_sends_a_document_once_and_then_its_hash(askers: Path, server: str, how: str, method: str):
    """By GET where that is asked for; the document itself is posted."""
    responses, requests = asking(askers, server, how)
    assert responses == [TITLE, TITLE]
    assert requests[-1] == [method, "hash", 200]
    if how == "post":  # the first to ask this server
        assert requests[:-1] == [["POST", "hash", 200], ["POST", "document", 200]]


def test_apollos_link_goes_on_without_hashes_where_they_are_not_supported(
    askers: Path, server: str, database: str, tmp_path: Path
):
    with run_gateway(tmp_path, database, GRAPHQL_MAX_PERSISTED_QUERIES="0") as address:
        responses, requests = asking(askers, address, "get")
    assert responses == [TITLE, TITLE]
    assert requests == [["GET", "hash", 200], ["POST", "document", 200], ["POST", "document", 200]]


def test_what_the_build_tools_write_is_trusted_and_nothing_else_runs(
    askers: Path, server: str, database: str, command: Callable[..., str], relays: str, tmp_path: Path
):
    """Apollo Client asks by the manifest's ids, Relay's network by `doc_id`; the ledger knows who asked."""
    for manifest in ("persisted-query-manifest.json", "persisted_queries.json"):
        assert command("documents", "add", manifest) == "Added 1 trusted documents; 0 were trusted already\n"
    with run_gateway(tmp_path, database, TRUSTED_DOCUMENTS="require") as address:
        assert asking(askers, address, "manifest") == ([TITLE, TITLE], [["GET", "hash", 200], ["GET", "hash", 200]])
        response = ask(address, doc_id=relays, variables={"slug": SLUG})
        assert response["data"]["post"]["title"] == TITLE
        rejected = ask(address, query="{ tags { name } }")
        assert rejected["errors"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
    assert "never used" not in command("documents", "list")
    assert command("schema", "check", str(SCHEMA)) == "0 of 2 documents would break\n"
