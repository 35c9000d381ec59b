"""What the README says is so."""

import re
import subprocess
from pathlib import Path

from gateway.settings import Settings
from tests.house.processes import started
from tests.support.language_models import language_model_beside
from tests.support.payments import KEY, stripe_like

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TOUR = re.findall(r"<!-- tour -->\n```sh\n(.*?)```\n```json\n(.*?)```", README, re.DOTALL)
MARK = "=== next ==="


def without_space(text: str) -> str:
    return re.sub(r"\s+", "", text)


def answers(told: str, given: str) -> bool:
    """Whether an answer is as told, where `…` stands for anything, and space for nothing."""
    pattern = ".*?".join(re.escape(part) for part in without_space(told).split("…"))
    return re.fullmatch(pattern, without_space(given), re.DOTALL) is not None


def test_every_command_of_the_tour_answers_as_it_says(tmp_path):
    script = f"\necho '{MARK}'\n".join(commands for commands, _ in TOUR)
    database_url = f"sqlite+aiosqlite:///{tmp_path}/tour.db"
    with (
        language_model_beside() as model,
        stripe_like() as stripe,
        started(
            "--demo",
            folder=tmp_path,
            database_url=database_url,
            OPENAI_API_KEY="sk-tour",
            OPENAI_BASE_URL=model,
            STRIPE_SECRET_KEY=KEY,
            STRIPE_API_BASE=stripe.address,
            STRIPE_WEBHOOK_SECRET="whsec_demo",
        ) as (_, address, said),
    ):
        taken = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8000", address)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert taken.returncode == 0, taken.stderr
        given = taken.stdout.split(MARK)
        wrong = [(told, answer) for (_, told), answer in zip(TOUR, given, strict=True) if not answers(told, answer)]
        assert wrong == []
        assert "Traceback" not in said.read_text()


def test_the_tour_has_all_its_commands():
    """A fence that is misspelled would leave its commands untried."""
    marked, with_curl = README.count("<!-- tour -->"), len(re.findall(r"```sh\n(?:(?!```).)*curl", README, re.DOTALL))
    assert len(TOUR) == marked == with_curl > 8


def test_every_setting_is_told_and_no_other():
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`([A-Z_]+)`", row)
    }
    assert told == {name.upper() for name in Settings.model_fields}


def test_every_setting_reaches_the_container():
    """Those that the compose file does not make itself it passes on, as it does what S3 is reached with."""
    passed = set(re.findall(r"^ +([A-Z][A-Z_0-9]+):", (ROOT / "compose.yaml").read_text(), re.MULTILINE))
    assert {name.upper() for name in Settings.model_fields} - passed == {"APP_VERSION", "PORT"}
    assert "AWS_ENDPOINT_URL" in passed


def test_links_lead_somewhere():
    """To files, and to headings of the page."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    headings = {f"#{title.lower().replace(' ', '-')}" for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    assert [link for link in links if link not in headings and not (ROOT / link).exists()] == []


def test_what_the_server_prints_is_what_is_shown():
    from gateway.seeding.showcase import ADMIN, DEMO

    assert f"Sign in as    {DEMO.email} with {DEMO.password}" in README
    assert f"`{ADMIN.email}` with `{ADMIN.password}`" in README
