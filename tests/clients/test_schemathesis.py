"""schemathesis reads `/openapi.json`, makes up requests, right and wrong, and finds nothing that is not described.

No 5xx; no status, content type, header or body that the document does not tell of; no method that it forgot.
"""

import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 30
"""For each operation and kind of request."""
STREAMS = "/api/(events|chat)"
"""What answers for as long as one listens, or not at all without a language model."""
SESSIONS = "/auth/(logout|refresh)"
"""What would sign the caller out midway."""


def signed_up(address: str) -> str:
    """Somebody's access token."""
    ann = {"name": "Ann", "email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    answer = httpx.post(f"{address}/api/auth/register", json=ann)
    return answer.json()["data"]["accessToken"]


@pytest.mark.parametrize("viewer", ["signed in", "anonymous"])
def test_the_document_tells_of_every_answer(live_server, tmp_path, viewer):
    """To a viewer, and to nobody in particular."""
    options = ["--max-examples", str(EXAMPLES), "--continue-on-failure", "--report-dir", str(tmp_path), "--no-color"]
    options += ["--exclude-path-regex", f"{STREAMS}|{SESSIONS}" if viewer == "signed in" else STREAMS]
    if viewer == "signed in":
        options += ["--header", f"Authorization: Bearer {signed_up(live_server)}"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
    run = subprocess.run(
        [*command, f"{live_server}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout


def test_the_document_describes_all_of_rest(live_server):
    """Each path and method, with the errors it may answer."""
    document = httpx.get(f"{live_server}/openapi.json").json()
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert {
        ("get", "/api/posts"),
        ("post", "/api/posts"),
        ("get", "/api/posts/{id}"),
        ("put", "/api/posts/{id}"),
        ("patch", "/api/posts/{id}"),
        ("delete", "/api/posts/{id}"),
        ("post", "/api/auth/register"),
        ("post", "/api/auth/login"),
        ("post", "/api/auth/refresh"),
        ("post", "/api/auth/logout"),
        ("get", "/api/auth/me"),
        ("get", "/api/health"),
        ("get", "/api/health/live"),
        ("get", "/api/health/ready"),
    } <= described
    writes = [
        operation["responses"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path == "/api/posts/{id}" and method in ("put", "patch", "delete")
    ]
    assert all({"400", "401", "403", "404", "412", "429", "500", "503"} <= set(responses) for responses in writes)
