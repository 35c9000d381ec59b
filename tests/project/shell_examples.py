"""Shell examples of a page: a block of commands, and a block with their output."""

import re
import subprocess
from pathlib import Path

MARK = "=== next ==="
Example = tuple[str, str]
"""The commands, and the output that the page shows; `…` in it matches any text."""


def find_examples(page: str, marker: str) -> list[Example]:
    """Return the examples that follow a comment `<!-- marker -->`."""
    return re.findall(rf"<!-- {marker} -->\n```sh\n(.*?)```\n```json\n(.*?)```", page, re.DOTALL)


def run_examples(examples: list[Example], address: str, folder: Path) -> list[Example]:
    """Run all examples in one shell, with this server, and return those whose output differs from the page."""
    script = f"\necho '{MARK}'\n".join(commands for commands, _ in examples)
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8000", address)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert completed.returncode == 0, completed.stderr
    pairs = zip((expected for _, expected in examples), completed.stdout.split(MARK), strict=True)
    return [(expected, output) for expected, output in pairs if not matches(expected, output)]


def matches(expected: str, output: str) -> bool:
    """Compare without white space."""
    parts = (re.escape(re.sub(r"\s+", "", part)) for part in expected.split("…"))
    return re.fullmatch(".*?".join(parts), re.sub(r"\s+", "", output), re.DOTALL) is not None
