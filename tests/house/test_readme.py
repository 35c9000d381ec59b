"""What the README and the pages that it leads to say is so."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.house.processes import started
from tests.support.language_models import language_model_beside
from tests.support.payments import KEY, stripe_like

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {path: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
TOUR = [
    stop
    for page in ("README.md", "docs/tour.md", "docs/errors.md", "docs/documents.md")
    for stop in re.findall(r"<!-- tour -->\n```sh\n(.*?)```\n```json\n(.*?)```", PAGES[ROOT / page], re.DOTALL)
]
"""In the order that a reader takes them in: later ones use what earlier ones made."""
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
    told = "\n".join(PAGES.values())
    marked, with_curl = told.count("<!-- tour -->"), len(re.findall(r"```sh\n(?:(?!```).)*curl", told, re.DOTALL))
    assert len(TOUR) == marked == with_curl > 8


def test_every_setting_is_told_and_no_other():
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`([A-Z_]+)`", row)
    }
    assert told == {name.upper() for name in Settings.model_fields}


def test_every_setting_stands_in_the_example_and_no_other():
    """In the order of the README's table or another; each can be uncommented as it stands."""
    lines = (ROOT / ".env.example").read_text().partition("\n\n")[2].splitlines()
    names = [re.fullmatch(r"# ([A-Z_]+)=.*", line)[1] for line in lines]
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_the_example_can_be_used_as_it_is(tmp_path):
    """Once what is secret is filled in: production asks for that."""
    example = re.sub(r"^# ([A-Z_]+=)", r"\1", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(example)
    settings = Settings(_env_file=tmp_path / ".env", auth_secret="s" * 32)
    assert (settings.in_production, settings.graphql_max_batch) == (True, 10)


@pytest.mark.parametrize(("given", "flags"), [((), ""), (("PORT=8001",), "--port 8001")])
def test_the_port_is_said_to_make_or_left_to_the_settings(given, flags):
    """What `.env` says counts as long as nobody says otherwise."""
    outer = {"PORT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    told = subprocess.run(
        ["make", "--dry-run", "run", *given], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1].partition("serve --demo")[2].strip() == flags


def test_every_setting_reaches_the_container():
    """Those that the compose file does not make itself it passes on, as it does what S3 is reached with."""
    passed = set(re.findall(r"^ +([A-Z][A-Z_0-9]+):", (ROOT / "compose.yaml").read_text(), re.MULTILINE))
    assert {name.upper() for name in Settings.model_fields} - passed == {"APP_VERSION", "PORT"}
    assert "AWS_ENDPOINT_URL" in passed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    """To files, and to headings of this page and others."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if "://" not in link]
    assert [link for link in links if not leads(page, *link.partition("#")[::2])] == []


def leads(page: Path, path: str, heading: str) -> bool:
    target = (page.parent / path).resolve() if path else page
    headings = [
        title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGES.get(target, ""), re.MULTILINE)
    ]
    return target.exists() and (not heading or heading in headings)


def test_every_page_is_found_from_the_first():
    """A page that nothing leads to is read by nobody."""
    assert [page.name for page in PAGES if page.parent != ROOT and f"](docs/{page.name})" not in README] == []


def test_what_the_server_prints_is_what_is_shown():
    from gateway.seeding.demo import ADMIN, DEMO

    assert f"Sign in as    {DEMO.email} with {DEMO.password}" in README
    assert f"`{ADMIN.email}` with `{ADMIN.password}`" in README
