"""Settings from the environment and `.env`. They are read once; other modules receive values."""

import re
from collections.abc import Iterable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from httpx import URL, InvalidURL
from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from resolvers.tokens import ISSUER

OFF = "off"
MIN_SECRET_LENGTH = 32
"""Minimum length of a secret in production, in characters: HS256 is no stronger than its key."""

DRIVERS = {"sqlite+aiosqlite", "postgresql+asyncpg"}
DEFAULT_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
UPLOAD_SCHEMES = {"file", "s3", "gs", "az"}
UPLOAD_TYPES = "jpeg", "png", "webp", "gif", "avif", "pdf"
REDIS_SCHEMES = {"redis", "rediss", "unix"}
ADDRESS = re.compile(r"(([\w-]+\.)*[\w-]+\.?|\[[0-9a-f:.]+\])(:\d+)?", re.ASCII)
"""A host with an optional port, as in `Origin`."""
MAX_PORT = 65535


class InvalidSettings(ValueError):
    """Invalid settings, one on each line. The message has no values, because some are secret."""

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{name}: {message}" for name, message in errors))


def split_commas(value: Any) -> Any:
    """Return the parts of a comma-separated text, trimmed."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def database_url(text: str) -> str:
    """Return the URL with the async driver for SQLAlchemy, or raise `ValueError`."""
    scheme, separator, rest = text.partition("://")
    text = f"{DEFAULT_DRIVERS.get(scheme, scheme)}{separator}{rest}"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ValueError("is not a database URL") from error
    if url.drivername not in DRIVERS:
        raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://")
    if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise ValueError("must name a file, because several connections share it")
    return text


def redis_url(text: str) -> str:
    if text.partition("://")[0] not in REDIS_SCHEMES:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


def origin(text: str) -> str:
    """Return an origin as browsers send it: scheme, host in ASCII, port unless it is the default."""
    if "@" in text:  # the value is not in the message: it may contain a password
        raise ValueError("must not contain a user: an origin is a scheme, a host and a port")
    try:
        url = URL(text)
    except InvalidURL as error:
        raise ValueError(f"{text!r} is not an origin: {error}") from error
    address = url.netloc.decode("ascii")
    is_valid = ADDRESS.fullmatch(address) and (url.port or 0) <= MAX_PORT
    if url.scheme not in ("http", "https") or not is_valid or url.path.strip("/") or "?" in text or "#" in text:
        raise ValueError(f"{text!r} is not an origin such as https://www.example.com, or http://localhost:3000")
    return f"{url.scheme}://{address}"


def network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address or a network such as 10.0.0.0/8") from error


def rate_limit(text: str) -> str:
    """Accept `off`, or the syntax of `limits`: "100/minute", "10 per 2 hours; 50/day"."""
    if text.strip().lower() == OFF:
        return OFF
    try:
        items = parse_many(text)
    except ValueError as error:
        raise ValueError(f'{text!r} is not a limit such as "100/minute", nor "off"') from error
    if any(item.amount < 1 for item in items):
        raise ValueError('must allow at least one request; "off" turns a limit off')
    return text


def upload_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in UPLOAD_SCHEMES:
        raise ValueError("must begin with file:, s3://, gs:// or az://")
    if parts.scheme != "file" and not parts.hostname:
        raise ValueError(f"must name a bucket, as {parts.scheme}://bucket does")
    return text


def upload_type(text: str) -> str:
    """Return the name of a file type: `jpeg` for `jpg` or `image/jpeg`."""
    name = text.lower().removeprefix("image/").removeprefix("application/")
    name = "jpeg" if name == "jpg" else name
    if name not in UPLOAD_TYPES:
        raise ValueError(f"{text!r} is not one of {', '.join(UPLOAD_TYPES)}")
    return name


def http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must begin with http:// or https://")
    return text.rstrip("/")


def is_secure(url: str) -> bool:
    """Return whether responses from a URL cannot be changed on the way: HTTPS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme != "http" or parts.hostname in ("127.0.0.1", "::1", "localhost")


def single_limit(text: str) -> str:
    if text != OFF and len(parse_many(text)) > 1:
        raise ValueError("must be one budget, such as 5000/minute")
    return text


def duration(value: Any) -> Any:
    """Parse a number with its unit: 90s, 30m, 12h, 7d."""
    if not isinstance(value, str):
        return value
    match = DURATION.fullmatch(value.strip().lower())
    if not match or not float(match[1]):
        raise ValueError("must be a duration such as 90s, 30m, 12h or 7d")
    return timedelta(**{UNITS[match[2]]: float(match[1])})


def parse_seconds(value: Any) -> Any:
    """Parse a duration; a number without a unit is in seconds."""
    has_no_unit = isinstance(value, str) and value.strip().isdecimal()
    return duration(f"{value}s" if has_no_unit else value)


DatabaseUrl = Annotated[str, AfterValidator(database_url)]
RedisUrl = Annotated[str, AfterValidator(redis_url)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(origin)], ...], NoDecode, BeforeValidator(split_commas)]
Networks = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(network)], ...], NoDecode, BeforeValidator(split_commas)
]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]
UploadUrl = Annotated[str, AfterValidator(upload_url)]
UploadTypes = Annotated[
    tuple[Annotated[str, AfterValidator(upload_type)], ...],
    NoDecode,
    BeforeValidator(split_commas),
    Field(min_length=1),
]
HttpUrl = Annotated[str, AfterValidator(http_url)]
RateLimit = Annotated[str, AfterValidator(rate_limit)]
Budget = Annotated[RateLimit, AfterValidator(single_limit)]
Count = Annotated[int, Field(ge=1)]
Duration = Annotated[timedelta, BeforeValidator(duration)]
Seconds = Annotated[timedelta, BeforeValidator(parse_seconds)]


class Settings(BaseSettings):
    """The settings, named as in the environment but in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "production"] = "development"
    database_url: DatabaseUrl = "sqlite+aiosqlite:///data/gateway.db"
    database_timeout: Seconds = timedelta(seconds=10)
    """Time limit of an SQL statement."""
    database_pool_size: Count = 10
    """Maximum number of connections for operations in each process. Postgres only."""
    database_read_pool_size: Count = 4
    redis_url: RedisUrl | None = None
    auth_secret: str | None = Field(default=None, repr=False)
    auth_jwks_url: HttpUrl | None = None
    """URL of an OpenID Connect provider's keys. Its tokens must have the issuer and one of the audiences."""
    auth_issuer: str | None = None
    auth_audience: Names = ()
    authjs_secret: Names = Field(default=(), repr=False)
    """The secret of Auth.js's session cookies; several during a rotation."""
    app_version: str = "0.1.0"
    port: Annotated[int, Field(ge=0, le=MAX_PORT)] = 8000

    cors_origins: Origins = ()
    trusted_proxies: Networks = ()
    cookie_prefixes: bool | None = None
    """Prefix the names of cookies with `__Host-`, and require a prefix of Auth.js's. Default: in production."""
    graphiql: bool | None = None
    """Serve GraphiQL, introspection and field suggestions. Default: in development."""

    metrics_token: Annotated[str, Field(min_length=16)] | None = Field(default=None, repr=False)
    """Bearer token for `/metrics`. Without one, metrics are public in development and disabled in production."""

    trusted_documents: Literal["off", "log", "prefer", "require"] = "off"
    """Handling of documents that are not trusted: see `gateway/persisted/resolver.py`."""

    rate_limit_api: RateLimit = "100/minute"
    rate_limit_auth: RateLimit = "10/minute"
    rate_limit_upload: RateLimit = "20/hour"
    rate_limit_expensive: RateLimit = "10/hour"
    rate_limit_cost: Budget = "5000/minute"
    """Budget of cost points, shared by GraphQL, REST, WebSockets and chat."""
    rate_limit_key: RateLimit = "600/minute"
    """Applies to an API key instead of `rate_limit_api`."""

    upload_url: UploadUrl = "file:data/uploads"
    upload_max_bytes: Annotated[int, Field(ge=1, le=2**31 - 1)] = 10 * 1024 * 1024
    upload_types: UploadTypes = ("jpeg", "png", "webp", "pdf")

    stripe_secret_key: str | None = Field(default=None, repr=False)
    stripe_webhook_secret: Names = Field(default=(), repr=False)
    """Several during a rotation."""
    stripe_api_base: HttpUrl | None = None
    stripe_prices: Names = ()
    """Ids of the prices that can be bought. Default: all prices of the account."""

    openai_api_key: str | None = Field(default=None, repr=False)
    openai_base_url: HttpUrl = "https://api.openai.com/v1"
    openai_model: str = "gpt-5-mini"

    response_cache: bool = True
    count_cache: bool = True
    """Cache `totalCount` of lists until a post changes."""
    response_cache_bytes: Count = 64 * 1024 * 1024
    """Size of the response cache."""

    event_retention: Duration = timedelta(days=7)
    max_streams_per_viewer: Count = 20
    """Counted by viewer, or by address for anonymous clients."""
    shutdown_grace: Seconds = timedelta(seconds=10)
    """Maximum time for requests to end at shutdown."""

    max_in_flight: Count = 128
    """Maximum number of requests that a process handles at once; more are rejected."""
    max_body_bytes: Count = 1024 * 1024
    graphql_max_depth: Count = 12
    graphql_max_aliases: Count = 30
    graphql_max_root_fields: Count = 20
    graphql_max_tokens: Count = 2000
    graphql_max_persisted_queries: Annotated[int, Field(ge=0)] = 1000
    """Number of automatic persisted queries in each process; 0 disables them."""
    graphql_max_batch: Annotated[int, Field(ge=0)] = 0
    """Maximum number of requests in one body; 0 disables batching."""
    max_cost: Count = 5000
    """Maximum cost of one operation, in points."""
    graphql_max_subscriptions: Count = 100
    """Maximum number of operations that run at once on a WebSocket."""
    graphql_init_timeout: Seconds = timedelta(seconds=10)
    """Time that a WebSocket has to send `connection_init`."""
    graphql_socket_lifetime: Duration = timedelta(hours=12)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings(format_errors(error)) from None

    @model_validator(mode="after")
    def check_production(self) -> Self:
        if self.in_production and len(self.auth_secret or "") < MIN_SECRET_LENGTH:
            raise ValueError(f"AUTH_SECRET: is required in production, with at least {MIN_SECRET_LENGTH} characters")
        return self

    @model_validator(mode="after")
    def check_identity_provider(self) -> Self:
        required = {name: getattr(self, name) for name in ("auth_jwks_url", "auth_issuer", "auth_audience")}
        missing = [name.upper() for name, value in required.items() if not value]
        if 0 < len(missing) < len(required):
            raise ValueError(f"{missing[0]}: AUTH_JWKS_URL, AUTH_ISSUER and AUTH_AUDIENCE must be set together")
        if self.auth_issuer == ISSUER:
            raise ValueError(f"AUTH_ISSUER: must not be {ISSUER!r}, the issuer of this server's own tokens")
        if self.in_production and not is_secure(self.auth_jwks_url or ""):
            raise ValueError("AUTH_JWKS_URL: must begin with https:// in production: the keys decide who signs in")
        if self.in_production and any(len(secret) < MIN_SECRET_LENGTH for secret in self.authjs_secret):
            raise ValueError(f"AUTHJS_SECRET: must have at least {MIN_SECRET_LENGTH} characters in production")
        return self

    @property
    def in_production(self) -> bool:
        return self.environment == "production"

    @property
    def introspection_enabled(self) -> bool:
        """True if clients may explore the schema."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def prefixes_cookies(self) -> bool:
        """True if cookie names have prefixes, which keep sibling domains from setting them."""
        return self.in_production if self.cookie_prefixes is None else self.cookie_prefixes

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def data_folder(self) -> Path:
        """The folder for files that the server creates: that of the SQLite database, else `data`."""
        return Path(make_url(self.database_url).database or "").parent if self.on_sqlite else Path("data")


def format_errors(error: ValidationError) -> Iterable[tuple[str, str]]:
    """Yield the name in the environment and the message of each invalid setting."""
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        message = item["msg"].removeprefix("Value error, ")
        if item["loc"]:
            yield str(item["loc"][0]).upper(), message
        else:
            name, _, message = message.partition(": ")
            yield name, message
