"""`python -m tests.gateway.graphql.fuzz`: run the differential test with more examples, from random seeds.

Ends at the first question that is answered wrongly, which hypothesis makes as short as it can and prints. The round
that is under way when time is up is finished.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

TEST = Path(__file__).with_name("test_differential.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--examples", type=int, default=600, help="in each round, of each test")
    options = parser.parse_args()
    started, rounds = time.monotonic(), 0
    while (spent := time.monotonic() - started) < 60 * options.minutes:
        rounds += 1
        print(f"Round {rounds}, after {spent / 60:.1f} of {options.minutes:g} minutes", flush=True)
        fuzz(secrets.randbelow(2**32), options.examples)
    print(f"Nothing found in {rounds} rounds of {options.examples} examples, {spent / 60:.0f} minutes")


def fuzz(seed: int, examples: int) -> None:
    """One round; exits, saying how to have it again, if something is found."""
    command = ["-m", "pytest", "-p", "no:xdist", str(TEST), f"--hypothesis-seed={seed}"]
    environment = {**os.environ, "ENGINE_EXAMPLES": str(examples)}
    if code := subprocess.run([sys.executable, *command], env=environment, check=False).returncode:
        print(f"Again: ENGINE_EXAMPLES={examples} python {' '.join(command)}")
        sys.exit(code)


if __name__ == "__main__":
    main()
