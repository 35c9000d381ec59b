"""The commands, as an operator runs them."""

import asyncio
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from gateway.cli import app
from models import Database, Role, User
from tests.support.processes import start_gateway
from tests.support.servers import SECRET, build_environment
from tests.support.stores import free_port

SCHEMA = Path(__file__).parents[3] / "schema" / "schema.graphql"


@pytest.fixture
def gateway(monkeypatch, tmp_path) -> Callable[..., Result]:
    """Runs a command here, in the test's folder; `serve` has a process of its own, below."""

    def run(*arguments: str, database_url: str, **environment: str) -> Result:
        with monkeypatch.context() as here:
            here.chdir(tmp_path)
            for name in os.environ.keys() - build_environment(database_url).keys():
                here.delenv(name)
            for name, value in build_environment(database_url, **environment).items():
                here.setenv(name, value)
            return CliRunner().invoke(app, arguments)

    return run


@pytest.fixture
def new_file(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/data/gateway.db"


def test_the_demo_says_where_everything_is_and_whom_to_sign_in_as(tmp_path, new_file):
    with start_gateway("--demo", folder=tmp_path, database_url=new_file) as (_, address, text):
        words = text.read_text()
        for place in ("/graphql", "/docs", "/api/health"):
            assert f"{address}{place}\n" in words
            assert httpx.get(f"{address}{place}", headers={"Accept": "text/html"}).status_code == 200
        email, _, password = words.partition("Sign in as")[2].partition("\n")[0].strip().partition(" with ")
        signed_in = httpx.post(f"{address}/api/auth/login", json={"email": email, "password": password})
        assert (signed_in.status_code, signed_in.json()["data"]["user"]["name"]) == (200, "Demo")
        assert httpx.get(f"{address}/api/posts").json()["data"][0]["title"] == "Welcome to Dovetail"


def test_it_says_which_version_it_is(gateway, new_file):
    """The package's, and nothing else: scripts read it."""
    text = gateway("--version", database_url=new_file)
    assert (text.exit_code, text.output) == (0, f"{version('dovetail')}\n")


def test_several_processes_answer_on_one_port(tmp_path, new_file):
    with start_gateway("--demo", "--workers", "2", folder=tmp_path, database_url=new_file) as (_, address, text):
        assert [httpx.get(f"{address}/api/posts").status_code for _ in range(8)] == [200] * 8
        assert text.read_text().count("is up") == 1


def test_a_server_told_to_stop_finishes_and_says_nothing_of_errors(tmp_path, new_file):
    with start_gateway(folder=tmp_path, database_url=new_file) as (_, _, text):
        pass
    assert "Traceback" not in text.read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "many"),
        ("DATABASE_URL", "mysql://127.0.0.1/x"),
        ("RATE_LIMIT_API", "often"),
        ("CORS_ORIGINS", "*"),
        ("UPLOAD_URL", "s3://"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_wrong_setting_ends_with_its_name(gateway, new_file, command, name, value):
    ended = gateway(command, **{"database_url": new_file, name: value})
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f"{name}:" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_production_needs_a_secret(gateway, new_file):
    ended = gateway("serve", database_url=new_file, ENVIRONMENT="production", AUTH_SECRET="short")
    assert ended.exit_code == 2
    assert "AUTH_SECRET:" in ended.stderr


def test_the_demo_is_not_for_production(gateway, new_file):
    ended = gateway("serve", "--demo", database_url=new_file, ENVIRONMENT="production")
    assert ended.exit_code == 2
    assert "--demo is for development" in ended.stderr


def test_a_taken_port_is_said_before_anything_is_migrated(gateway, tmp_path, new_file):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = gateway("serve", "--port", str(port), database_url=new_file)
    assert ended.exit_code != 0
    assert f"port {port}" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_out_of_reach_is_said_in_a_sentence(gateway):
    url = f"postgresql+asyncpg://postgres:hush@127.0.0.1:{free_port()}/none"
    ended = gateway("migrate", database_url=url)
    assert ended.exit_code == 1
    assert "127.0.0.1" in ended.stderr
    assert "hush" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_production_does_not_migrate_postgres_by_itself(gateway, tmp_path, bare_postgres_url):
    production = {"database_url": bare_postgres_url, "ENVIRONMENT": "production", "AUTH_SECRET": SECRET}
    rejected = gateway("serve", **production)
    assert (rejected.exit_code, "gateway migrate" in rejected.stderr) == (1, True)
    assert gateway("migrate", "--check", **production).exit_code == 1
    assert gateway("migrate", **production).exit_code == 0
    assert gateway("migrate", "--check", **production).exit_code == 0
    with start_gateway(folder=tmp_path, **production) as (_, address, text):
        assert httpx.get(f"{address}/api/health").json()["status"] == "healthy"
        assert "GraphiQL" not in text.read_text()


def test_migrations_go_down_and_up(gateway, new_file):
    here = {"database_url": new_file}
    assert gateway("migrate", **here).exit_code == 0
    assert gateway("migrate", "--down", "base", "--yes", **here).exit_code == 0
    assert gateway("migrate", "--check", **here).exit_code == 1
    assert gateway("migrate", "--down", "no-such-revision", "--yes", **here).exit_code == 2


def test_nothing_is_removed_without_a_terminal_to_confirm(gateway, new_file):
    """A script that means it says `--yes`."""
    here = {"database_url": new_file}
    gateway("migrate", **here)
    rejected = gateway("migrate", "--down", "base", **here)
    assert (rejected.exit_code, rejected.stdout) == (1, "")
    assert rejected.stderr.startswith(f"Downgrade {new_file} to base, and lose the data that newer versions added?")
    assert "--yes" in rejected.stderr
    assert gateway("migrate", "--check", **here).exit_code == 0


@pytest.mark.parametrize(("text", "code"), [(b"n\n", 1), (b"y\n", 0)])
def test_a_terminal_prompts_for_confirmation(gateway, tmp_path, new_file, text, code):
    gateway("migrate", database_url=new_file)
    ours, its = pty.openpty()
    os.write(ours, text)
    command = [sys.executable, "-c", "from gateway.cli import app; app()", "migrate", "--down", "base"]
    ended = subprocess.run(command, cwd=tmp_path, env=build_environment(new_file), stdin=its, capture_output=True)
    os.close(ours)
    os.close(its)
    assert (ended.returncode, b"to base" in ended.stdout) == (code, True), ended.stderr
    assert gateway("migrate", "--check", database_url=new_file).exit_code == (0 if code else 1)


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "list"),
        ("user", "promote", "ann@example.com"),
        ("webhooks", "list"),
        ("uploads", "sweep"),
        ("documents", "list"),
        ("schema", "check", str(SCHEMA)),
    ],
    ids=" ".join,
)
def test_a_database_that_is_behind_is_said_and_left_as_it_is(gateway, new_file, command):
    ended = gateway(*command, database_url=new_file)
    result = "The database is behind this version: run `gateway migrate` first\n"
    assert (ended.exit_code, ended.stdout, ended.stderr) == (1, "", result)
    assert gateway("migrate", "--check", database_url=new_file).exit_code == 1


def test_storage_out_of_reach_is_said_in_a_line_that_names_it(gateway, new_file):
    gateway("migrate", database_url=new_file)
    nowhere = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "UPLOAD_URL": "s3://bucket/prefix"}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush"}
    ended = gateway("uploads", "sweep", database_url=new_file, **nowhere, **keys)
    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("s3://bucket/prefix: ")
    assert "hush" not in ended.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "99999"])
def test_a_port_that_cannot_be_is_refused_by_its_flag(gateway, new_file, port):
    ended = gateway("serve", "--port", port, database_url=new_file)
    assert (ended.exit_code, "--port" in ended.stderr, "Traceback" in ended.stderr) == (2, True, False)


def test_seed_shows_its_progress_and_refuses_what_cannot_be(gateway, new_file):
    here = {"database_url": new_file}
    small = ("seed", "--users", "3", "--posts", "10", "--comments", "5", "--likes")
    made = gateway(*small, "20", **here)
    assert (made.exit_code, "10/10" in made.stderr) == (0, True), made.stderr
    rejected = gateway(*small, "2000", **here)
    assert (rejected.exit_code, "at most" in rejected.stderr) == (2, True)


def test_fresh_asks_before_it_removes(gateway, new_file):
    request = gateway("seed", "--fresh", database_url=new_file)
    assert request.exit_code == 1
    assert "Delete all rows" in request.stdout + request.stderr


async def test_promote_makes_an_admin(gateway, database_url, author):
    ended = await asyncio.to_thread(gateway, "user", "promote", author.email.upper(), database_url=database_url)
    assert ended.exit_code == 0, ended.stderr
    db = Database(database_url)
    async with db.reading() as session:
        assert await session.scalar(select(User.role).where(User.email == author.email)) is Role.ADMIN
    await db.close()


def test_promote_says_when_there_is_no_such_account(gateway, new_file):
    gateway("migrate", database_url=new_file)
    ended = gateway("user", "promote", "nobody@example.com", database_url=new_file)
    assert (ended.exit_code, ended.stderr) == (1, "No account has the email address nobody@example.com\n")


def test_keys_are_made_listed_and_revoked(gateway, new_file):
    here = {"database_url": new_file}
    gateway("migrate", **here)
    made = gateway("keys", "create", "--name", "A [bold] robot", "--scopes", "read,write", "--expires", "90d", **here)
    assert made.exit_code == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch("dvt_[0-9A-Za-z]{38}", key)
    listed = gateway("keys", "list", **here).stdout
    assert "A [bold] robot" in listed
    assert "read,write" in listed
    assert key not in listed
    (id,) = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", listed)
    assert gateway("keys", "revoke", id, **here).stdout == "The key is revoked\n"
    assert "revoked" in gateway("keys", "list", **here).stdout
    again = gateway("keys", "revoke", id, **here)
    assert (again.exit_code, again.stderr) == (1, "No active API key has that id\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--name", " "), 2, "--name: String should have at least 1 character"),
        (("--name", "x", "--scopes", "all"), 2, "--scopes must be `read` or `read,write`, not 'all'"),
        (("--name", "x", "--expires", "soon"), 2, "--expires must be a duration such as 90s, 30m, 12h or 7d"),
        (("--name", "x", "--user", "nobody@example.com"), 1, "No account has the email address nobody@example.com"),
    ],
)
def test_a_key_that_cannot_be_made_is_said_in_a_sentence(gateway, new_file, arguments, code, words):
    gateway("migrate", database_url=new_file)
    ended = gateway("keys", "create", *arguments, database_url=new_file)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (code, "", f"{words}\n")


def test_sweep_says_what_it_removed(gateway, tmp_path, new_file):
    gateway("migrate", database_url=new_file)
    stray = tmp_path / "data/uploads/00000000-0000-4000-8000-000000000000.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"left behind by a crash")
    os.utime(stray, (0, 0))
    ended = gateway("uploads", "sweep", database_url=new_file)
    assert (ended.exit_code, ended.stdout) == (0, "Deleted 0 uploads and 1 files without an upload\n"), ended.stderr
    assert not stray.exists()


def test_schema_prints_what_is_committed(gateway, new_file):
    printed = gateway("schema", database_url=new_file).stdout
    assert printed == SCHEMA.read_text()


def test_an_interrupted_server_ends_well(tmp_path, new_file):
    """Ctrl+C in a terminal is how most servers of developers end."""
    with start_gateway(folder=tmp_path, database_url=new_file) as (process, _, text):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert "Traceback" not in text.read_text()
