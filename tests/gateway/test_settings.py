"""What the environment may say, and what it is told when it is wrong."""

import multiprocessing
import stat
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.auth.secret import get_auth_secret, load_or_create_secret
from gateway.settings import InvalidSettings, Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_nothing_need_be_set() -> None:
    """A bare checkout serves SQLite in development."""
    settings = Settings()
    assert (settings.environment, settings.port, settings.database_url) == (
        "development",
        8000,
        "sqlite+aiosqlite:///data/gateway.db",
    )
    assert settings.introspection_enabled


def test_the_environment_and_the_file_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` is read, the environment wins, and what is not ours is left alone."""
    Path(".env").write_text("PORT=1234\nCORS_ORIGINS=https://a.example\nPATH_TO_NOWHERE=x\n")
    monkeypatch.setenv("CORS_ORIGINS", "https://B.example/, http://localhost:5173")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.1.2.3/8,::1")
    monkeypatch.setenv("REDIS_URL", "")
    settings = Settings()
    assert settings.port == 1234
    assert settings.cors_origins == ("https://b.example", "http://localhost:5173")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.redis_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://here"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "sqlite+aiosqlite:///:memory:"),
        ("REDIS_URL", "http://localhost"),
        ("ENVIRONMENT", "staging"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("CORS_ORIGINS", "a.example"),
        ("CORS_ORIGINS", "https://a.example#x"),
        ("CORS_ORIGINS", "https://a.example#"),
        ("CORS_ORIGINS", "https://a.example/?"),
        ("CORS_ORIGINS", "https://a.example:abc"),
        ("CORS_ORIGINS", "https://a.example:70000"),
        ("CORS_ORIGINS", "https://*.example"),
        ("CORS_ORIGINS", "https://a..example"),
        ("CORS_ORIGINS", "https://a b.example"),
        ("CORS_ORIGINS", "https://%61.example"),
        ("CORS_ORIGINS", "https://\u2603.example"),
        ("CORS_ORIGINS", "https://"),
        ("CORS_ORIGINS", "null"),
        ("TRUSTED_PROXIES", "everyone"),
        ("DATABASE_POOL_SIZE", "0"),
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("GRAPHIQL", "perhaps"),
        ("RATE_LIMIT_API", "many"),
        ("RATE_LIMIT_AUTH", "0/minute"),
        ("RATE_LIMIT_UPLOAD", "5/fortnight"),
        ("RATE_LIMIT_EXPENSIVE", "10"),
        ("UPLOAD_URL", "ftp://files.example"),
        ("UPLOAD_URL", "s3://"),
        ("UPLOAD_URL", "s3:///prefix"),
        ("UPLOAD_URL", "gs:bucket"),
        ("MAX_BODY_BYTES", "0"),
        ("GRAPHQL_MAX_DEPTH", "-1"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops the start, and says which it is."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=f"^{name}: "):
        Settings()


def test_a_password_in_an_origin_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No origin has one, so it was meant for something else."""
    monkeypatch.setenv("CORS_ORIGINS", "https://ann:sesame@a.example")
    with pytest.raises(InvalidSettings, match=r"^CORS_ORIGINS: must not contain a user") as raised:
        Settings()
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://www.example.com:443", "https://www.example.com"),
        ("http://www.example.com:80/", "http://www.example.com"),
        ("https://www.example.com:80", "https://www.example.com:80"),
        ("HTTPS://WWW.Example.com:08443", "https://www.example.com:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:3000", "https://xn--bcher-kva.example:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://front_end", "http://front_end"),
    ],
)
async def test_an_origin_may_be_written_in_other_ways_than_browsers_do(written: str, sent: str, make_server) -> None:
    """Its pages write and read all the same."""
    server = await make_server(cors_origins=written)
    account = await server.account("Ann")
    headers = {"Cookie": f"dovetail_session={account.access_token}", "Origin": sent}
    response = await server.anonymous.post("/graphql", json={"query": "{ viewer { name } }"}, headers=headers)
    assert response.json() == {"data": {"viewer": {"name": "Ann"}}}
    assert response.headers["Access-Control-Allow-Origin"] == sent


@pytest.mark.parametrize("secret", [None, "", "short-and-secret"])
def test_production_wants_a_secret_of_some_length(secret: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The complaint names the setting, and does not repeat it."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    if secret is not None:
        monkeypatch.setenv("AUTH_SECRET", secret)
    with pytest.raises(InvalidSettings, match=r"^AUTH_SECRET: ") as raised:
        Settings()
    assert "short-and-secret" not in str(raised.value)


def test_production_hides_the_schema_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`GRAPHIQL=on` brings it back."""
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("AUTH_SECRET", "x" * 32)
    assert not Settings().introspection_enabled
    monkeypatch.setenv("GRAPHIQL", "on")
    assert Settings().introspection_enabled


def test_development_makes_its_secret_once(tmp_path: Path) -> None:
    """It lies in the data folder, for its owner only."""
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/data/gateway.db")
    secret = get_auth_secret(settings)
    assert len(secret) >= 32
    assert get_auth_secret(settings) == secret
    (file,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    """However many make one, the first wins."""
    with multiprocessing.get_context("fork").Pool(4) as pool:
        secrets = set(pool.map(load_or_create_secret, [tmp_path / "data"] * 40))
    assert len(secrets) == 1


def test_the_usual_short_urls_get_our_drivers() -> None:
    """What hosting providers hand out works as it is."""
    assert Settings(database_url="postgres://a:b@c/d").database_url == "postgresql+asyncpg://a:b@c/d"
