"""Spans, as a collector receives them from a server that `OTEL_*` variables configure."""

import logging
from collections.abc import Iterator

import pytest
from opentelemetry import trace

from tests.support.collector import Collector, Span, open_collector
from tests.support.language_models import language_model
from tests.support.live_server import open_live_server
from tests.support.payments import open_fake_stripe
from tests.support.servers import open_server
from tests.support.subscribers import open_socket, open_sse_stream
from tests.support.uploads import make_image, upload_file

TITLES = "query Titles($q: String) { posts(filter: {q: $q}) { nodes { title } } }"
WRITE = 'mutation Write { createPost(input: {title: "A secret title", content: "Long enough to be one."}) { id } }'
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture
def collector(monkeypatch) -> Iterator[Collector]:
    with open_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        yield collector


def child_names(collector: Collector, span: Span) -> list[str]:
    return sorted(each.name for each in collector.spans if each.parent_id == span.span_id)


async def test_a_request_is_one_trace_from_its_caller_to_its_statements(collector, database_url, author, capsys):
    async with open_server(database_url) as server:
        database = database_url.rpartition("/")[2].partition("?")[0]
        headers = {**author.headers, "traceparent": TRACEPARENT, "X-Request-ID": "sent-by-a-test"}
        body = {"query": TITLES, "variables": {"q": "a secret"}}
        assert (await server.anonymous.post("/graphql?a=secret", json=body, headers=headers)).status_code == 200
        assert (await server.anonymous.post("/graphql", json={"query": WRITE}, headers=headers)).status_code == 200
        await server.anonymous.get("/api/posts/none", headers=headers)
        await server.anonymous.get("/api/health")
    assert {each.trace_id for each in collector.spans} == {TRACE}
    assert b"secret title" not in collector.raw
    assert b"a secret" not in collector.raw
    query_request, mutation_request = collector.named("POST /graphql")
    assert {each.name for each in collector.spans if each.parent_id == CALLER} == {
        "POST /graphql",
        "GET /api/posts/{id}",
    }
    assert query_request.kind == "server"
    assert query_request.about["http.route"] == "/graphql"
    assert query_request.about["url.query"] == "REDACTED"
    assert query_request.about["dovetail.request_id"] == "sent-by-a-test"
    query, mutation = collector.one("query"), collector.one("mutation")
    assert query.parent_id == query_request.span_id
    assert query.about == {"graphql.operation.type": "query", "graphql.operation.name": "Titles"}
    assert mutation.parent_id == mutation_request.span_id
    assert child_names(collector, query) == [f"SELECT {database}"]
    statement = next(each for each in collector.spans if each.parent_id == query.span_id)
    system = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    assert statement.kind == "client"
    assert (statement.about["db.system.name"], statement.about["db.operation.name"]) == (system, "SELECT")
    assert statement.about["db.query.text"].startswith("SELECT")
    assert {f"INSERT {database}", f"SELECT {database}"} <= set(child_names(collector, mutation))
    assert [each["service.name"] for each in collector.resources] == ["dovetail"] * len(collector.resources)
    lines = [line for line in capsys.readouterr().out.splitlines() if "POST /graphql Titles" in line]
    assert f"traceId={TRACE} spanId={query_request.span_id}" in lines[0]


async def test_a_client_error_does_not_mark_the_span_as_failed(collector, sqlite_url):
    async with open_server(sqlite_url) as server:
        await server.anonymous.post("/graphql", json={"query": "query Wrong { nothing }"})
    span = collector.one("GraphQL Operation")
    assert (span.failed, span.about) == (False, {"dovetail.codes": ["VALIDATION_ERROR"]})


async def test_the_span_of_a_failed_statement_does_not_contain_the_databases_message(collector, database_url):
    """Postgres' message about a duplicate key contains the key."""
    account = {"email": "taken@mail.example", "name": "Somebody", "password": "a long enough password"}
    async with open_server(database_url) as server:
        statuses = [(await server.anonymous.post("/api/auth/register", json=account)).status_code for _ in range(2)]
    assert statuses == [201, 409]
    assert [span.about["db.operation.name"] for span in collector.spans if span.failed] == ["INSERT"]
    assert b"taken@mail" not in collector.raw


async def test_span_names_contain_operation_names_if_trusted_documents_are_required(collector, sqlite_url):
    async with open_server(sqlite_url, trusted_documents="require", graphiql=True) as server:
        await server.anonymous.post("/graphql", json={"query": "query Explore { __typename }"})
    assert collector.one("query Explore").about["graphql.operation.name"] == "Explore"


async def test_operations_over_websockets_and_streams_have_spans(collector, sqlite_url):
    async with open_live_server(sqlite_url) as live:
        async with open_socket(live.address) as client:
            payload = {"query": "query Plain { posts { totalCount } }", "extensions": {"traceparent": TRACEPARENT}}
            await client.send({"id": "1", "type": "subscribe", "payload": payload})
            assert await client.next_value("1")
            assert (await client.receive())["type"] == "complete"
            await client.subscribe("subscription Follow { postEvents { id } }")
            await live.subscribed()
        async with open_sse_stream(live.http, "subscription Stream { postEvents { id } }"):
            pass
    plain = collector.one("query")
    assert (plain.trace_id, plain.parent_id, plain.kind) == (TRACE, CALLER, "server")
    assert len(collector.named("subscription")) == 2
    assert [each.about["graphql.operation.type"] for each in collector.named("subscription")] == ["subscription"] * 2
    assert len(collector.named("POST /graphql")) == 1


async def test_calls_to_other_services_have_spans(collector, sqlite_url):
    async with language_model() as model:
        with open_fake_stripe() as stripe:
            settings = {"openai_api_key": "key", "openai_base_url": model.address, **stripe.settings}
            async with open_server(sqlite_url, **settings) as server:
                viewer = await server.account()
                await upload_file(server.anonymous, viewer, make_image())
                chat_request = {"messages": [{"role": "user", "content": "A secret question"}]}
                response = await server.anonymous.post("/api/chat", json=chat_request, headers=viewer.headers)
                assert response.status_code == 200
                urls = '{priceId: "price_once", successUrl: "https://a.example", cancelUrl: "https://a.example"}'
                checkout = {"query": f"mutation {{ createCheckout(input: {urls}) {{ url }} }}"}
                response = await server.anonymous.post("/graphql", json=checkout, headers=viewer.headers)
                assert "errors" not in response.json()
    assert collector.one("storage put").kind == "client"
    assert collector.one("payments create_session").parent_id == collector.one("mutation").span_id
    chat_span = collector.one("chat gpt-5-mini")
    assert chat_span.about["gen_ai.request.model"] == "gpt-5-mini"
    assert b"secret question" not in collector.raw


async def test_an_unreachable_collector_does_not_disturb_requests(monkeypatch, sqlite_url, caplog):
    with open_collector() as collector:
        pass  # the port is closed again
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        async with open_server(sqlite_url) as server:
            assert (await server.anonymous.post("/graphql", json={"query": TITLES})).status_code == 200


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
async def test_requests_run_no_tracing_code_without_an_exporter(monkeypatch, sqlite_url, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with open_server(sqlite_url) as server:
        engine = server.app.state.gateway.engine
        assert "answer" not in vars(engine)
        assert not server.app.is_traced
        assert not trace.get_current_span().is_recording()
