"""`POST /api/chat`: a model's answer as a stream, and what becomes of it when a model, a client or the server fails."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, AsyncStream

from resolvers.tokens import Tokens
from tests.support.accounts import Account
from tests.support.api_keys import READ_ONLY, create_machine
from tests.support.callers import Rest
from tests.support.language_models import Call, ModelServer, language_model
from tests.support.live_server import LiveServer
from tests.support.servers import SECRET as SIGNING
from tests.support.stores import free_port
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until, within

pytestmark = pytest.mark.anyio

KEY = "sk-a-key-that-nobody-may-see"
SECRET = "what the model's server says of account 4711 and its key sk-a-key-that-nobody-may-see"
QUESTION = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is a strop?"}]}
ANSWER = 'data: {"content":"A strip "}\n\ndata: {"content":"of leather."}\n\ndata: [DONE]\n\n'
BROKEN = 'event: error\ndata: {"error":"The language model failed","code":"UPSTREAM_ERROR"}\n\n'


@dataclass
class Chat:
    """A server, its model, and somebody who asks."""

    live: LiveServer
    model: ModelServer
    viewer: Account

    async def ask(self, question: Any = QUESTION) -> httpx.Response:
        """The whole answer."""
        return await self.live.http.post("/api/chat", json=question, headers=self.viewer.headers)

    def asking(self) -> Any:
        """An answer as it comes, for a scope."""
        return self.live.http.stream("POST", "/api/chat", json=QUESTION, headers=self.viewer.headers)

    async def opens(self, count: int = 1) -> None:
        """Wait until so many answers are under way."""
        await wait_until(lambda: self.live.gateway.streams.count == count)


@pytest.fixture
async def model(anyio_backend: str) -> AsyncIterator[ModelServer]:
    async with language_model() as model:
        yield model


@pytest.fixture
async def chat(sqlite_url: str, make_live_server: Callable[..., Awaitable[LiveServer]], model: ModelServer) -> Chat:
    live = await make_live_server(sqlite_url, openai_api_key=KEY, openai_base_url=model.address, openai_model="small")
    return Chat(live, model, await live.account())


def refused(reply: httpx.Response) -> tuple[int, str, str]:
    body = reply.json()
    assert set(body) == {"error", "code", "requestId"}
    return reply.status_code, body["code"], body["error"]


async def test_an_answer_comes_in_frames(chat: Chat) -> None:
    """The last says that it was the whole; the headers keep proxies from gathering and from keeping it."""
    reply = await chat.ask()
    assert (reply.status_code, reply.text) == (200, ANSWER)
    headers = {name: reply.headers[name] for name in ("content-type", "cache-control", "x-accel-buffering")}
    assert headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-request-id"]
    call = chat.model.calls.get_nowait()
    assert (call.path, call.headers["authorization"]) == ("/v1/chat/completions", f"bearer {KEY}")
    assert call.body == {"model": "small", "stream": True, **QUESTION}
    await chat.opens(0)


async def test_each_piece_is_sent_when_it_comes(chat: Chat) -> None:
    """None waits for the next."""
    received = asyncio.Event()

    async def waiting(call: Call) -> None:
        await call.head()
        await call.send("Leather")
        await received.wait()
        await call.send(", ", "一本の革")
        await call.finish()
        await call.end()

    chat.model.script = waiting
    async with chat.asking() as response:
        lines = response.aiter_lines()
        assert await anext(lines) == 'data: {"content":"Leather"}'
        await chat.opens()
        received.set()
        rest = [line async for line in lines if line]
    assert rest == ['data: {"content":", "}', 'data: {"content":"一本の革"}', "data: [DONE]"]


@asynccontextmanager
async def official(chat: Chat) -> AsyncIterator[AsyncStream[Any]]:
    """The `openai` package as a client of ours."""
    address = f"{chat.live.address}/api"
    async with AsyncOpenAI(api_key=chat.viewer.access_token, base_url=address, max_retries=0) as client:
        yield await client.post("/chat", body=QUESTION, cast_to=object, stream=True, stream_cls=AsyncStream[object])


async def test_the_official_client_reads_our_frames_too(chat: Chat) -> None:
    """Until [DONE]; an error is raised in our words."""
    async with official(chat) as frames:
        assert [frame async for frame in frames] == [{"content": "A strip "}, {"content": "of leather."}]
    chat.model.script = after_a_word(Call.cut)
    async with official(chat) as frames:
        assert await anext(frames) == {"content": "Leather"}
        with pytest.raises(APIError):
            await anext(frames)


def after_a_word(then: Callable[[Call], Any]) -> Any:
    async def script(call: Call) -> None:
        await call.head()
        await call.send("Leather")
        done = then(call)
        if done is not None:
            await done

    return script


def without_a_word(then: Callable[[Call], Any]) -> Any:
    async def script(call: Call) -> None:
        await call.head()
        done = then(call)
        if done is not None:
            await done

    return script


async def stall(call: Call) -> None:
    await asyncio.sleep(60)


def told(frame: bytes) -> Callable[[Call], Awaitable[None]]:
    async def tell(call: Call) -> None:
        await call.raw(frame)
        await call.end()

    return tell


MISHAPS: dict[str, Callable[[Call], Any]] = {
    "a cut": Call.cut,
    "an end without a finish": Call.end,
    "an error among the frames": told(json.dumps({"error": {"message": SECRET}}).join(["data: ", "\n\n"]).encode()),
    "half a frame": told(b'data: {"choices": [{"del'),
    "no JSON": told(b"data: <html>%b</html>\n\n" % SECRET.encode()),
    "choices that are none": told(b'data: {"choices": 5}\n\n'),
    "a choice without a delta": told(b'data: {"choices": [{"index": 0}]}\n\n'),
    "a number for content": told(b'data: {"choices": [{"delta": {"content": 5}, "finish_reason": null}]}\n\n'),
    "no UTF-8": told(b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'),
    "frames that say nothing": told(b'data: {}\n\ndata: 5\n\ndata: []\n\ndata: {"choices": []}\n\n'),
    "silence": stall,
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model has half a second."""
    monkeypatch.setattr("gateway.adapters.language_models.openai.IDLE_TIMEOUT_SECONDS", 0.5)


@pytest.mark.parametrize("then", MISHAPS.values(), ids=MISHAPS)
async def test_what_goes_wrong_midway_is_an_event(impatient: None, chat: Chat, then: Any) -> None:
    """And no [DONE], so that half an answer is not taken for the whole; nothing of the cause is told, nor logged."""
    chat.model.script = after_a_word(then)
    reply = await chat.ask()
    assert reply.status_code == 200
    begun, _, error = reply.text.partition("\n\n")
    assert begun == 'data: {"content":"Leather"}'
    assert error in (BROKEN, BROKEN.replace("failed", "was interrupted"))
    await chat.opens(0)


@pytest.mark.parametrize("then", MISHAPS.values(), ids=MISHAPS)
async def test_what_goes_wrong_before_the_first_word_has_a_status(impatient: None, chat: Chat, then: Any) -> None:
    """Although the model's server began its answer, ours had not."""
    chat.model.script = without_a_word(then)
    reply = await chat.ask()
    assert refused(reply)[:2] == (502, "UPSTREAM_ERROR")
    await chat.opens(0)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
    ],
)
async def test_a_model_that_refuses_is_a_bad_gateway(
    chat: Chat, status: int, name: str, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, without another try; its words and the key stay with us, and out of the log."""
    caplog.set_level(logging.DEBUG, "gateway")
    chat.model.script = lambda call: call.refuse(status, SECRET)
    reply = await chat.ask()
    assert refused(reply) == (502, "UPSTREAM_ERROR", "The language model failed")
    assert "retry-after" not in reply.headers
    assert chat.model.calls.qsize() == 1
    logged = caplog.text + "".join(capsys.readouterr())
    assert f"The language model failed: {name} {status}\n" in logged
    assert [word for word in ("4711", KEY, "Traceback") if word in reply.text + logged] == []


async def test_a_model_that_hangs_up_at_once_is_a_bad_gateway(chat: Chat) -> None:
    """It was reached, and failed."""

    async def hang_up(call: Call) -> None:
        call.cut()

    chat.model.script = hang_up
    assert refused(await chat.ask()) == (502, "UPSTREAM_ERROR", "The language model failed")


async def test_a_model_that_cannot_be_reached_is_unavailable(sqlite_url: str, make_live_server: Any) -> None:
    """And may be back soon."""
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    live = await make_live_server(sqlite_url, openai_api_key=KEY, openai_base_url=nowhere)
    reply = await live.http.post("/api/chat", json=QUESTION, headers=(await live.account()).headers)
    assert refused(reply) == (503, "UNAVAILABLE", "The language model cannot be reached")
    assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("frames", "content"),
    [
        (b'data: {"choices": [{"delta": {"content": "Yes"}}]}\n\ndata: [DONE]\n\n', ["Yes"]),
        (b'data: {"choices": [{"delta": {"content": "Yes"}, "finish_reason": "length"}]}\n\n', ["Yes"]),
        (b'data: {"choices": [{"delta": {"content": null}, "finish_reason": "stop"}]}\n\n', []),
        (b': on it\n\ndata: {"choices": [], "usage": null}\n\ndata: [DONE]\n\n', []),
        (
            b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}}]}\n\n'
            b'data: {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}\n\ndata: [DONE]\n\n',
            [],
        ),
        (
            b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n'
            b'data: {"choices": [{"delta": {"content": "a\\ud83d\\ude00 \\u2028\\nb"}}]}\n\ndata: [DONE]\n\n',
            ["\ufffd", "a\U0001f600 \u2028\nb"],
        ),
    ],
    ids=["no finish", "no [DONE]", "nothing", "usage", "a tool's call", "odd characters"],
)
async def test_what_other_servers_send_is_understood(chat: Chat, frames: bytes, content: list[str]) -> None:
    """Each leaves out something else."""
    chat.model.script = without_a_word(told(frames))
    reply = await chat.ask()
    *output, done, nothing = reply.text.split("\n\n")
    assert [json.loads(frame.removeprefix("data: "))["content"] for frame in output] == content
    assert (reply.status_code, done, nothing) == (200, "data: [DONE]", "")


async def test_a_model_that_thinks_is_waited_for(monkeypatch: pytest.MonkeyPatch, chat: Chat) -> None:
    """Comments break the silence, before the first word too; from then on what fails is an event."""
    monkeypatch.setattr("gateway.rest.framework.chat_stream.HEARTBEAT_INTERVAL_SECONDS", 0.05)
    thought = asyncio.Event()

    async def thinking(call: Call) -> None:
        await thought.wait()
        await call.refuse(500, SECRET)

    chat.model.script = thinking
    async with chat.asking() as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        assert [await anext(lines) for _ in range(4)] == [": ping", "", ": ping", ""]
        thought.set()
        rest = [line async for line in lines if line not in (": ping", "")]
    assert "\n".join(rest) == BROKEN.strip()


@pytest.mark.parametrize(
    "script", [stall, without_a_word(stall), after_a_word(stall)], ids=["no head", "no word", "a word"]
)
async def test_a_client_that_leaves_ends_the_call(chat: Chat, script: Any) -> None:
    """Within two seconds, whether the model had begun to answer or thinks."""
    chat.model.script = script
    asking = asyncio.create_task(chat.ask())
    call = await chat.model.calls.get()
    await chat.opens()
    asking.cancel()
    async with within(2):
        await call.left.wait()
        await chat.opens(0)


async def test_a_client_that_leaves_midway_ends_the_call(chat: Chat) -> None:
    """While words come, too."""

    async def going_on(call: Call) -> None:
        await call.head()
        while True:
            await call.send("on and ")
            await asyncio.sleep(0.01)

    chat.model.script = going_on
    async with chat.asking() as response:
        lines = response.aiter_lines()
        assert await anext(lines) == 'data: {"content":"on and "}'
        call = chat.model.calls.get_nowait()
    async with within(2):
        await call.left.wait()
        await chat.opens(0)


async def test_a_client_that_does_not_read_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, chat: Chat, capsys: pytest.CaptureFixture
) -> None:
    """Rather than have the model paid for what nobody takes, or the words gather."""
    monkeypatch.setattr("gateway.rest.framework.chat_stream.SEND_TIMEOUT_SECONDS", 0.2)

    async def at_length(call: Call) -> None:
        await call.head()
        while True:
            await call.send("x" * 100_000)

    chat.model.script = at_length
    async with chat.asking() as response:
        call = await chat.model.calls.get()
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            await call.left.wait()
        await chat.opens(0)
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
    assert "Traceback" not in "".join(capsys.readouterr())


async def test_without_the_package_a_server_starts_all_the_same(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, make_live_server: Any, capsys: pytest.CaptureFixture
) -> None:
    """It says what is missing; chat is not configured there."""
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "gateway.adapters.language_models.openai", raising=False)
    live = await make_live_server(sqlite_url, openai_api_key=KEY)
    reply = await live.http.post("/api/chat", json=QUESTION, headers=(await live.account()).headers)
    assert refused(reply) == (503, "NOT_CONFIGURED", "Chat is not configured here")
    assert "OPENAI_API_KEY is set, but the package openai is not installed" in capsys.readouterr().out


SHUTTING_DOWN = "The server is shutting down; send the request again"


async def test_a_server_that_goes_ends_its_answers(chat: Chat) -> None:
    """The model need not go on, and nobody is asked any more."""
    chat.model.script = after_a_word(stall)
    async with chat.asking() as response:
        lines = response.aiter_lines()
        assert await anext(lines) == 'data: {"content":"Leather"}'
        chat.live.gateway.streams.drain()
        rest = [line async for line in lines if line]
    assert rest == ["event: error", f'data: {{"error":"{SHUTTING_DOWN}","code":"UNAVAILABLE"}}']
    await chat.model.calls.get_nowait().left.wait()
    assert refused(await chat.ask())[:2] == (503, "UNAVAILABLE")


async def test_a_server_that_goes_refuses_what_it_has_not_begun_to_answer(chat: Chat) -> None:
    """With a status, for nothing was sent yet."""
    chat.model.script = without_a_word(stall)
    asking = asyncio.create_task(chat.ask())
    call = await chat.model.calls.get()
    chat.live.gateway.streams.drain()
    assert refused(await asking) == (503, "UNAVAILABLE", SHUTTING_DOWN)
    await call.left.wait()


async def test_logging_out_ends_an_answer(chat: Chat) -> None:
    """As it ends the streams of the feed, and the model need not go on."""
    chat.model.script = after_a_word(stall)
    async with chat.asking() as response:
        lines = response.aiter_lines()
        assert await anext(lines) == 'data: {"content":"Leather"}'
        await Rest(chat.live.http).logout(chat.viewer.refresh_token)
        rest = [line async for line in lines if line and not line.startswith(":")]
    words = "The session has ended; sign in again"
    assert rest == ["event: error", f'data: {{"error":"{words}","code":"UNAUTHORIZED"}}']
    await chat.model.calls.get_nowait().left.wait()
    await chat.opens(0)
    assert chat.live.gateway.session_monitor.sessions == {}


async def test_a_token_that_expires_ends_an_answer(chat: Chat) -> None:
    """While the model goes on talking, too."""

    async def going_on(call: Call) -> None:
        await call.head()
        while True:
            await call.send("on and ")
            await asyncio.sleep(0.05)

    chat.model.script = going_on
    output = Tokens(SIGNING).verify(chat.viewer.access_token)
    short = Tokens(SIGNING, access_lifetime=timedelta(seconds=2)).create_access_token(output.viewer, output.session_id)
    chat.viewer = replace(chat.viewer, access_token=short)
    reply = await chat.ask()
    *_, error, nothing = reply.text.split("\n\n")
    assert error == 'event: error\ndata: {"error":"The access token has expired","code":"UNAUTHORIZED"}'
    assert (reply.status_code, nothing) == (200, "")


@pytest.mark.parametrize("pause", [60, 0.01], ids=["that says one word", "that drips"])
async def test_a_model_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, chat: Chat, pause: float) -> None:
    monkeypatch.setattr("gateway.rest.framework.chat_stream.MAX_STREAM_SECONDS", 0.3)

    async def dripping(call: Call) -> None:
        await call.head()
        while True:
            await call.send("and ")
            await asyncio.sleep(pause)

    chat.model.script = dripping
    reply = await chat.ask()
    first, *_, error, nothing = reply.text.split("\n\n")
    assert first == 'data: {"content":"and "}'
    assert error == 'event: error\ndata: {"error":"The language model took too long","code":"UPSTREAM_ERROR"}'
    assert (reply.status_code, nothing) == (200, "")
    await chat.model.calls.get_nowait().left.wait()


async def test_a_key_that_reads_asks_no_model(chat: Chat) -> None:
    """An answer is paid for, and so is more than reading."""
    chat.viewer = await create_machine(chat.live.db, READ_ONLY)
    assert refused(await chat.ask()) == (403, "FORBIDDEN", "This API key may only read")
    chat.viewer = await create_machine(chat.live.db)
    assert (await chat.ask()).text == ANSWER
    assert chat.model.calls.qsize() == 1


async def test_answers_count_among_the_open_streams(sqlite_url: str, make_live_server: Any, model: ModelServer) -> None:
    """Of whom there may be so many for each viewer; the model is not even asked."""
    settings = {"openai_api_key": KEY, "openai_base_url": model.address, "max_streams_per_viewer": 1}
    live = await make_live_server(sqlite_url, **settings)
    chat = Chat(live, model, await live.account())
    model.script = after_a_word(stall)
    async with chat.asking() as response:
        lines = response.aiter_lines()
        assert await anext(lines) == 'data: {"content":"Leather"}'
        assert refused_for_now(await chat.ask())
        assert live.gateway.db.connections_in_use == 0
    assert model.calls.qsize() == 1


def refused_for_now(reply: httpx.Response) -> bool:
    return (reply.status_code, reply.json()["code"], reply.headers["retry-after"]) == (429, "RATE_LIMITED", "5")
