"""What a measurement was made on, in a sentence."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.databases import rows


def described(postgres_url: str | None) -> str:
    today = datetime.now(UTC).date()
    versions = [f"Python {platform.python_version()}", *postgres(postgres_url), *node()]
    return f"{today}, {cores()} ({processor()}), {', '.join(versions)}; load by {generator()}"


def cores() -> str:
    count = len(os.sched_getaffinity(0))
    return f"{count} core{'s' if count != 1 else ''} for servers, Postgres and load together"


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def postgres(url: str | None) -> list[str]:
    return [f"Postgres {rows(url, 'show server_version')[0].split()[0]}"] if url else []


def node() -> list[str]:
    if not shutil.which("node"):
        return []
    return [f"Node {subprocess.run(['node', '--version'], capture_output=True, text=True).stdout.strip().lstrip('v')}"]


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "a Python process"
