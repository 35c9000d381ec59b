"""A gateway in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import environment_for, stop
from tests.support.stores import free_port

PATIENCE = 60
"""Seconds that a server has to come up, on a machine that may be busy with other tests."""


@contextmanager
def started(
    *arguments: str, folder: Path, database_url: str, code: Path | None = None, **environment: str
) -> Iterator[tuple]:
    """The process, its address, and the file of what it says, from the moment that it says it is up."""
    port, said = free_port(), folder / "said"
    path = [str(code), *sys.path] if code else sys.path
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", str(port), *arguments],
            cwd=folder,
            env={
                **environment_for(database_url, **environment),
                "PYTHONPATH": os.pathsep.join(path),
            },
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while "is up" not in said.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "is up" in said.read_text(), said.read_text()
        yield process, f"http://127.0.0.1:{port}", said
    finally:
        stop(process)
