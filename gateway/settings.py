"""What the environment, or `.env`, says. It is read once, here at the edge; inner rooms get values."""

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
SECRET_LENGTH = 32
"""Characters that a secret in production has at least; HS256 is no stronger than its key."""

DRIVERS = {"sqlite+aiosqlite", "postgresql+asyncpg"}
DRIVER_OF = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
UPLOAD_SCHEMES = {"file", "s3", "gs", "az"}
UPLOAD_KINDS = "jpeg", "png", "webp", "gif", "avif", "pdf"
REDIS_SCHEMES = {"redis", "rediss", "unix"}
ADDRESS = re.compile(r"(([\w-]+\.)*[\w-]+\.?|\[[0-9a-f:.]+\])(:\d+)?", re.ASCII)
"""A host, and perhaps its port, as a browser names them in `Origin`."""
GREATEST_PORT = 65535


class InvalidSettings(ValueError):
    """Settings that the server cannot start with, by name. Values are left out, for some are secret."""

    def __init__(self, wrong: Iterable[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{name}: {what}" for name, what in wrong))


def split_commas(value: Any) -> Any:
    """Values between commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def database_url(text: str) -> str:
    """A URL as SQLAlchemy spells it; the usual short forms get the driver that we use."""
    scheme, separator, rest = text.partition("://")
    text = f"{DRIVER_OF.get(scheme, scheme)}{separator}{rest}"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ValueError("is not a database's URL") from error
    if url.drivername not in DRIVERS:
        raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://")
    if url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise ValueError("must name a file, as several connections share it")
    return text


def redis_url(text: str) -> str:
    if text.partition("://")[0] not in REDIS_SCHEMES:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


def origin(text: str) -> str:
    """One exact origin, as browsers write it: scheme, host in ASCII, and its port unless that is the scheme's own."""
    if "@" in text:  # not repeated, for what stands before it may be a password
        raise ValueError("must not name a user: an origin is a scheme, a host and a port")
    try:
        url = URL(text)
    except InvalidURL as error:
        raise ValueError(f"{text!r} is not an origin: {error}") from error
    address = url.netloc.decode("ascii")
    usable = ADDRESS.fullmatch(address) and (url.port or 0) <= GREATEST_PORT
    if url.scheme not in ("http", "https") or not usable or url.path.strip("/") or "?" in text or "#" in text:
        raise ValueError(f"{text!r} is not an origin such as https://www.example.com, or http://localhost:3000")
    return f"{url.scheme}://{address}"


def network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address or a network such as 10.0.0.0/8") from error


def rate_limit(text: str) -> str:
    """`off`, or the grammar of `limits`: "100/minute", "10 per 2 hours; 50/day"."""
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
    """A kind of file by its usual name; `jpg` is `jpeg`."""
    name = text.lower().removeprefix("image/").removeprefix("application/")
    name = "jpeg" if name == "jpg" else name
    if name not in UPLOAD_KINDS:
        raise ValueError(f"{text!r} is not one of {', '.join(UPLOAD_KINDS)}")
    return name


def http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must begin with http:// or https://")
    return text.rstrip("/")


def is_private(url: str) -> bool:
    """Whether nobody on the way can change what an address answers."""
    parts = urlsplit(url)
    return parts.scheme != "http" or parts.hostname in ("127.0.0.1", "::1", "localhost")


def single_limit(text: str) -> str:
    if text != OFF and len(parse_many(text)) > 1:
        raise ValueError("must be one budget, such as 5000/minute")
    return text


def duration(value: Any) -> Any:
    """A number and its unit: 90s, 30m, 12h, 7d."""
    if not isinstance(value, str):
        return value
    match = DURATION.fullmatch(value.strip().lower())
    if not match or not float(match[1]):
        raise ValueError("must be a duration such as 90s, 30m, 12h or 7d")
    return timedelta(**{UNITS[match[2]]: float(match[1])})


def parse_seconds(value: Any) -> Any:
    """A duration, or a bare number of seconds."""
    bare = isinstance(value, str) and value.strip().isdecimal()
    return duration(f"{value}s" if bare else value)


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
    """Every setting, under its name in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["development", "production"] = "development"
    database_url: DatabaseUrl = "sqlite+aiosqlite:///data/gateway.db"
    database_timeout: Seconds = timedelta(seconds=10)
    """What a statement may take."""
    database_pool_size: Count = 10
    """Connections that a process has at most for operations; those that only read are apart. Postgres only."""
    database_read_pool_size: Count = 4
    redis_url: RedisUrl | None = None
    auth_secret: str | None = Field(default=None, repr=False)
    auth_jwks_url: HttpUrl | None = None
    """The keys of an outside identity provider; its tokens name this issuer, and one of these audiences."""
    auth_issuer: str | None = None
    auth_audience: Names = ()
    authjs_secret: Names = Field(default=(), repr=False)
    """What Auth.js encrypts its session cookies with; several while it is rotated."""
    app_version: str = "0.1.0"
    port: Annotated[int, Field(ge=0, le=GREATEST_PORT)] = 8000

    cors_origins: Origins = ()
    trusted_proxies: Networks = ()
    cookie_prefixes: bool | None = None
    """`__Host-` before the names of our cookies, and a prefix before Auth.js's; unless it is set, in production."""
    graphiql: bool | None = None
    """GraphiQL, introspection and field suggestions; unless it is set, they are for development only."""

    metrics_token: Annotated[str, Field(min_length=16)] | None = Field(default=None, repr=False)
    """What who asks for `/metrics` must know. In production nobody is told without one; elsewhere anybody is."""

    trusted_documents: Literal["off", "log", "prefer", "require"] = "off"
    """What becomes of documents that are not trusted: see `gateway/persisted/policy.py`."""

    rate_limit_api: RateLimit = "100/minute"
    rate_limit_auth: RateLimit = "10/minute"
    rate_limit_upload: RateLimit = "20/hour"
    rate_limit_expensive: RateLimit = "10/hour"
    rate_limit_cost: Budget = "5000/minute"
    """Points, as `MAX_COST` counts them: one budget over GraphQL, REST, sockets and chat."""
    rate_limit_key: RateLimit = "600/minute"
    """Instead of `rate_limit_api`, for each API key."""

    upload_url: UploadUrl = "file:data/uploads"
    upload_max_bytes: Annotated[int, Field(ge=1, le=2**31 - 1)] = 10 * 1024 * 1024
    upload_types: UploadTypes = ("jpeg", "png", "webp", "pdf")

    stripe_secret_key: str | None = Field(default=None, repr=False)
    stripe_webhook_secret: Names = Field(default=(), repr=False)
    """Several while one is rotated."""
    stripe_api_base: HttpUrl | None = None
    stripe_prices: Names = ()
    """What may be bought; any price of the account's, unless it is set."""

    openai_api_key: str | None = Field(default=None, repr=False)
    openai_base_url: HttpUrl = "https://api.openai.com/v1"
    openai_model: str = "gpt-5-mini"

    response_cache: bool = True
    count_cache: bool = True
    """Whether the totals of lists are kept until a post changes."""
    response_cache_bytes: Count = 64 * 1024 * 1024
    """What answers may take that are kept to be given again."""

    event_retention: Duration = timedelta(days=7)
    max_streams_per_viewer: Count = 20
    """For each viewer, else for each address, as the limits."""
    shutdown_grace: Seconds = timedelta(seconds=10)
    """What a server that is told to stop takes at most."""

    max_in_flight: Count = 128
    """The requests that a process works on at once; one more is turned away."""
    max_body_bytes: Count = 1024 * 1024
    graphql_max_depth: Count = 12
    graphql_max_aliases: Count = 30
    graphql_max_root_fields: Count = 20
    graphql_max_tokens: Count = 2000
    graphql_max_persisted_queries: Annotated[int, Field(ge=0)] = 1000
    """The documents that automatic persisted queries keep in a process; 0 switches them off."""
    graphql_max_batch: Annotated[int, Field(ge=0)] = 0
    """The requests that one body may hold; 0 is for one at a time, without an array."""
    max_cost: Count = 5000
    """Points that one operation may cost, reckoned before it runs."""
    graphql_max_subscriptions: Count = 100
    """The operations that one socket may have under way."""
    graphql_init_timeout: Seconds = timedelta(seconds=10)
    """What a socket has for its `connection_init`."""
    graphql_socket_lifetime: Duration = timedelta(hours=12)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings(format_errors(error)) from None

    @model_validator(mode="after")
    def check_production(self) -> Self:
        if self.in_production and len(self.auth_secret or "") < SECRET_LENGTH:
            raise ValueError(f"AUTH_SECRET: is required in production, with at least {SECRET_LENGTH} characters")
        return self

    @model_validator(mode="after")
    def check_identity_provider(self) -> Self:
        given = {name: getattr(self, name) for name in ("auth_jwks_url", "auth_issuer", "auth_audience")}
        if any(given.values()):
            for name in (name for name, value in given.items() if not value):
                raise ValueError(f"{name.upper()}: is required where the other two of its kind are set")
        if self.auth_issuer == ISSUER:
            raise ValueError(f"AUTH_ISSUER: must not be {ISSUER!r}, which our own tokens name")
        if self.in_production and not is_private(self.auth_jwks_url or ""):
            raise ValueError(
                "AUTH_JWKS_URL: must begin with https:// in production, or whoever is between makes the keys"
            )
        if self.in_production and any(len(secret) < SECRET_LENGTH for secret in self.authjs_secret):
            raise ValueError(f"AUTHJS_SECRET: must have at least {SECRET_LENGTH} characters in production")
        return self

    @property
    def in_production(self) -> bool:
        return self.environment == "production"

    @property
    def introspection_enabled(self) -> bool:
        """Whether strangers may explore the schema: GraphiQL, introspection, suggestions."""
        return not self.in_production if self.graphiql is None else self.graphiql

    @property
    def prefixes_cookies(self) -> bool:
        """Whether browsers are to see to it that nobody else sets our cookies."""
        return self.in_production if self.cookie_prefixes is None else self.cookie_prefixes

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def data_folder(self) -> Path:
        """Where this server keeps what it makes for itself: beside the SQLite file, else `data`."""
        return Path(make_url(self.database_url).database or "").parent if self.on_sqlite else Path("data")


def format_errors(error: ValidationError) -> Iterable[tuple[str, str]]:
    """Which settings are wrong and why, as the environment spells them."""
    for wrong in error.errors(include_url=False, include_input=False, include_context=False):
        message = wrong["msg"].removeprefix("Value error, ")
        if wrong["loc"]:
            yield str(wrong["loc"][0]).upper(), message
        else:
            name, _, what = message.partition(": ")
            yield name, what
