"""The README and the pages in `docs` are correct and complete, and their examples work."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer

from gateway.cli import app
from gateway.settings import Settings
from models import errors
from tests.project.shell_examples import find_examples, run_examples
from tests.support.language_models import language_model_beside
from tests.support.payments import KEY, open_fake_stripe
from tests.support.processes import start_gateway
from tests.support.servers import build_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {
    path: path.read_text()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md")))
}
TOUR = [
    example
    for page in ("README.md", "docs/tour.md", "docs/errors.md", "docs/rate-limits.md")
    for example in find_examples(PAGES[ROOT / page], "tour")
]
"""In reading order: later examples use the results of earlier ones."""
SETTING_NAMES = {name.upper() for name in Settings.model_fields}


def page(name: str) -> str:
    return PAGES[ROOT / "docs" / name]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)


def test_every_command_of_the_tour_has_the_output_that_the_page_shows(tmp_path):
    database_url = f"sqlite+aiosqlite:///{tmp_path}/tour.db"
    with (
        language_model_beside() as model,
        open_fake_stripe() as stripe,
        start_gateway(
            "--demo",
            folder=tmp_path,
            database_url=database_url,
            OPENAI_API_KEY="sk-tour",
            OPENAI_BASE_URL=model,
            STRIPE_SECRET_KEY=KEY,
            STRIPE_API_BASE=stripe.address,
            STRIPE_WEBHOOK_SECRET="whsec_demo",
        ) as (_, address, log),
    ):
        assert run_examples(TOUR, address, tmp_path) == []
        assert "Traceback" not in log.read_text()


def test_the_tour_runs_all_curl_examples():
    """A code block with a misspelled marker would not be tested."""
    text = "\n".join(PAGES.values())
    tour, others = text.count("<!-- tour -->"), text.count("<!-- run -->")  # the others are in adding-an-entity.md
    assert len(re.findall(r"```sh\n(?:(?!```).)*curl", text, re.DOTALL)) == tour + others
    assert len(TOUR) == tour > 8


def test_every_setting_is_documented_once():
    names = [cell.strip("`") for cell in first_cells(page("settings.md"))]
    assert sorted(names) == sorted(SETTING_NAMES)


def test_documented_defaults_are_the_real_ones():
    """Defaults in code style are compared; those in words (`none`, "on in production") are not."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \|", page("settings.md"), re.MULTILINE)
    documented = Settings(_env_file=None, **{name.lower(): value for name, value in rows})
    assert len(rows) > 30
    assert documented == Settings(_env_file=None)


def error_classes() -> Iterator[type]:
    return (each for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code"))


def test_every_error_is_documented_with_its_status():
    documented = re.findall(r"^\| (\d{3}) \| `([A-Z_]+)` \| \S", page("errors.md"), re.MULTILINE)
    assert sorted(documented) == sorted({(str(each.status), each.code) for each in error_classes()})


def commands(command: typer.core.TyperGroup, prefix: str) -> Iterator[str]:
    """All commands that do something, with their groups' names."""
    for name, child in command.commands.items():
        if not hasattr(child, "commands") or child.invoke_without_command:
            yield f"{prefix} {name}"
        if hasattr(child, "commands"):
            yield from commands(child, f"{prefix} {name}")


def test_every_command_is_documented_once():
    documented = [re.match(r"`([a-z ]+[a-z])", cell)[1] for cell in first_cells(page("command-line.md"))]
    assert sorted(documented) == sorted(commands(typer.main.get_command(app), "gateway"))


def test_documented_options_exist():
    for line in re.findall(r"^\| `gateway .*", page("command-line.md"), re.MULTILINE):
        names = re.match(r"\| `gateway ([a-z ]+[a-z])", line)[1].split()
        command = typer.main.get_command(app)
        for name in names:
            command = command.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line


def test_documented_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = [block for text in PAGES.values() for block in re.findall(r"```sh\n.*?```|`[^`\n]+`", text, re.DOTALL)]
    mentioned = {target for block in code for target in re.findall(r"(?:^|`)make ([a-z-]+)", block, re.MULTILINE)}
    assert mentioned
    assert mentioned <= targets


def test_commands_in_examples_run(tmp_path):
    """In a folder with a new database, and with the manifest that the example names."""
    lines = [
        line
        for text in PAGES.values()
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("gateway ")
    ]
    (tmp_path / "persisted-query-manifest.json").write_text(json.dumps({"Typename": "query Typename { __typename }"}))
    environment = build_environment(f"sqlite+aiosqlite:///{tmp_path}/examples.db")
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = "\n".join(["gateway migrate", *lines])
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert len(lines) == 2
    assert completed.returncode == 0, completed.stderr
    assert "dvt_" in completed.stdout


def test_every_setting_is_in_the_example_file_once():
    """Each line can be uncommented as it stands."""
    lines = (ROOT / ".env.example").read_text().partition("\n\n")[2].splitlines()
    names = [re.fullmatch(r"# ([A-Z_]+)=.*", line)[1] for line in lines]
    assert sorted(names) == sorted(SETTING_NAMES)


def test_the_example_file_is_valid(tmp_path):
    """Production also needs the secret."""
    example = re.sub(r"^# ([A-Z_]+=)", r"\1", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    (tmp_path / ".env").write_text(example)
    settings = Settings(_env_file=tmp_path / ".env", auth_secret="s" * 32)
    assert (settings.in_production, settings.graphql_max_batch) == (True, 10)


@pytest.mark.parametrize(("arguments", "flags"), [((), ""), (("PORT=8001",), "--port 8001")])
def test_make_run_passes_the_port_only_if_it_is_given(arguments, flags):
    """Otherwise the setting in `.env` counts."""
    outer = {"PORT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of the make that runs the tests
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    completed = subprocess.run(
        ["make", "--dry-run", "run", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert completed.stdout.splitlines()[-1].partition("serve --demo")[2].strip() == flags


def test_compose_passes_every_setting_to_the_container():
    """And what S3 needs; the image sets the version and the port itself."""
    passed = set(re.findall(r"^ +([A-Z][A-Z_0-9]+):", (ROOT / "compose.yaml").read_text(), re.MULTILINE))
    assert SETTING_NAMES - passed == {"APP_VERSION", "PORT"}
    assert "AWS_ENDPOINT_URL" in passed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path):
    """Files, and headings of this page and others."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if "://" not in link]
    assert [link for link in links if not has_target(page, *link.partition("#")[::2])] == []


def has_target(page: Path, path: str, anchor: str) -> bool:
    target = (page.parent / path).resolve() if path else page
    titles = re.findall(r"^#+ (.+)$", PAGES.get(target, ""), re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
    return target.exists() and (not anchor or anchor in anchors)


def test_paths_in_the_text_exist():
    """Relative to the project or to `gateway`; those of `adding-an-entity.md` are new files."""
    paths = {
        (page.name, path)
        for page, text in PAGES.items()
        if page.name != "adding-an-entity.md"
        for path in re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.(?:py|toml|yaml|graphql|md))?)`", text)
    }
    assert len(paths) > 20
    assert [each for each in paths if not (ROOT / each[1]).exists() and not (ROOT / "gateway" / each[1]).exists()] == []


def test_the_readme_links_to_every_page():
    assert [page.name for page in PAGES if page.parent != ROOT and f"](docs/{page.name})" not in README] == []


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_readme_shows_what_the_server_prints():
    from gateway.seeding.demo import ADMIN, DEMO

    assert f"Sign in as    {DEMO.email} with {DEMO.password}" in README
    assert f"`{ADMIN.email}` with `{ADMIN.password}`" in README


def test_figures_of_the_readme_are_those_of_the_benchmarks_page():
    """`make bench ARGS=--write` writes both."""
    table = README.partition("<!-- benchmark -->")[2].partition("<!-- /benchmark -->")[0]
    rows = re.findall(r"^\| (\S[^|]*) \|(.*)\|$", table, re.MULTILINE)
    figures = [(name, figure) for name, cells in rows[1:] for figure in re.findall(r"[\d,]+", cells)]
    assert len(figures) > 10
    for name, figure in figures:
        assert re.search(rf"^\| {re.escape(name)} \| [\d,]+ \| {figure} \|", page("benchmarks.md"), re.MULTILINE)


@pytest.fixture
def node() -> str:
    return shutil.which("node") or pytest.skip("needs Node to run the examples in JavaScript")


def run_javascript(node: str, folder: Path, code: str) -> object:
    """Return the JSON that a module prints."""
    (folder / "main.mjs").write_text(code)
    completed = subprocess.run([node, "main.mjs"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_the_rewrites_for_nextjs_cover_every_public_path(node, tmp_path):
    (tmp_path / "next.config.cjs").write_text(blocks("nextjs.md", "js")[0])
    code = "import config from './next.config.cjs'; console.log(JSON.stringify(await config.rewrites()))"
    rewrites = run_javascript(node, tmp_path, code)
    assert {each["source"]: each["destination"] for each in rewrites["fallback"]} == {
        path: f"http://127.0.0.1:8000{path}" for path in ("/graphql", "/api/:path*", "/uploads/:path*")
    }


def test_a_server_component_of_nextjs_reads_as_its_visitor(node, tmp_path, gateway_url):
    """With the example's own module, and the query of the example page."""
    module = tmp_path / "node_modules" / "next"
    module.mkdir(parents=True)
    account = {"name": "Robin", "email": f"{os.urandom(8).hex()}@example.com", "password": "a long password"}
    cookies = httpx.post(f"{gateway_url}/api/auth/register", json=account).cookies
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    (module / "package.json").write_text('{"type": "module", "exports": {"./headers": "./headers.js"}}')
    (module / "headers.js").write_text(
        f"export const headers = async () => new Headers({{ cookie: {json.dumps(header)} }})"
    )
    (tmp_path / "dovetail.mjs").write_text(blocks("nextjs.md", "js")[1].replace("http://127.0.0.1:8000", gateway_url))
    query = re.search(r"await query\((.*)\)", blocks("nextjs.md", "jsx")[0])[1]
    data = run_javascript(
        node, tmp_path, f"import {{ query }} from './dovetail.mjs'; console.log(JSON.stringify(await query({query})))"
    )
    assert data["viewer"] == {"name": "Robin"}
    assert isinstance(data["posts"]["nodes"], list)


def test_the_callback_for_authjs_names_the_account_at_the_provider(node, tmp_path):
    example = blocks("authentication.md", "js")[0]
    account = "{ provider: 'github', providerAccountId: '1' }"
    code = f"const {{ callbacks }} = {{ {example} }}\n" + (
        f"console.log(JSON.stringify([callbacks.jwt({{ token: {{ sub: 'x' }}, account: {account} }}),"
        " callbacks.jwt({ token: { sub: 'x' }, account: null })]))"
    )
    assert run_javascript(node, tmp_path, code) == [{"sub": "github:1"}, {"sub": "x"}]
