"""graphql-http's audits: what its authors read in the specification of GraphQL over HTTP."""

import json
from pathlib import Path

from tests.clients.test_typescript import run


def test_the_server_passes_every_audit_without_a_warning(askers: Path, gateway_url: str):
    audits = json.loads(run("node", "audit.js", f"{gateway_url}/graphql", folder=askers))
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) == 61
