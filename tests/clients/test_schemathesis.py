"""schemathesis generates valid and invalid requests from `/openapi.json` and checks every response against it.

It finds 5xx responses, and undocumented statuses, media types, headers, bodies and methods.
"""

import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

CONFIG_FILE = Path(__file__).with_name("schemathesis.toml")
MAX_EXAMPLES = 30
"""For each operation and kind of request."""
STREAMS = "/api/(events|chat)"
"""Excluded: the feed never ends, and chat needs a language model."""
SESSION_ENDPOINTS = "/auth/(logout|refresh)"
"""Excluded for a logged-in viewer: these requests would log them out."""


def register(base_url: str) -> str:
    """Return the access token of a new account."""
    ann = {"name": "Ann", "email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    return httpx.post(f"{base_url}/api/auth/register", json=ann).json()["data"]["accessToken"]


@pytest.mark.parametrize("viewer", ["logged in", "anonymous"])
def test_every_response_is_documented(gateway_url, tmp_path, viewer):
    """For an anonymous caller and for a viewer."""
    options = [
        "--max-examples",
        str(MAX_EXAMPLES),
        "--continue-on-failure",
        "--report-dir",
        str(tmp_path),
        "--no-color",
    ]
    options += ["--exclude-path-regex", f"{STREAMS}|{SESSION_ENDPOINTS}" if viewer == "logged in" else STREAMS]
    if viewer == "logged in":
        options += ["--header", f"Authorization: Bearer {register(gateway_url)}"]
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG_FILE), "run"]
    run = subprocess.run(
        [*command, f"{gateway_url}/openapi.json", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout


def test_the_document_has_every_endpoint(gateway_url):
    """With each path and method, and with the errors of each write."""
    document = httpx.get(f"{gateway_url}/openapi.json").json()
    documented = {(method, path) for path, methods in document["paths"].items() for method in methods}
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
    } <= documented
    writes = [
        operation["responses"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path == "/api/posts/{id}" and method in ("put", "patch", "delete")
    ]
    assert all({"400", "401", "403", "404", "412", "429", "500", "503"} <= set(responses) for responses in writes)
