"""The pages in headless Chromium, on a server of its own: they work, and ask no other host for anything."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pages.browser import Page, browsing

CTRL = 2
# All four editors are there, and the schema has come.
READY = "globalThis.__MONACO?.editor.getEditors().length === 4 && !document.querySelector('.graphiql-spinner')"
ENTER = ("Enter", 13)


class GraphiQL:
    """GraphiQL in a tab, handled as a person would, but that text is put in its editors whole."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def run(self, operation: str | None = None, variables: Any = None, headers: Any = None) -> dict[str, Any]:
        """Press Ctrl+Enter and wait for the answer; without an operation, run what a first visitor finds."""
        await self.start(operation, variables, headers)
        return json.loads(await self._page.until(SAID))

    async def start(self, operation: str | None = None, variables: Any = None, headers: Any = None) -> None:
        """Press Ctrl+Enter."""
        if operation is not None:
            await self._write("operation.graphql", operation)
            await self._write("variables.json", json.dumps(variables) if variables else "")
            await self._write("request-headers.json", json.dumps(headers) if headers else "")
            await asyncio.sleep(0.5)  # GraphiQL looks up which operation it is to run a moment after the last key
        await self._write("response.json", "")
        await self._page.evaluate(f"{_editor('operation.graphql')}.focus()")
        await self._page.press(*ENTER, CTRL)

    async def said(self) -> str:
        """The answer so far, once it is whole."""
        return await self._page.evaluate(SAID)

    async def _write(self, name: str, text: str) -> None:
        await self._page.evaluate(f"{_editor(name)}.setValue({json.dumps(text)})")


def _editor(name: str) -> str:
    found = f"__MONACO.editor.getEditors().find((editor) => editor.getModel().uri.path.endsWith('{name}'))"
    return f"({found})"


ANSWER = f"{_editor('response.json')}.getValue()"
SAID = f"{ANSWER}.trim().endsWith('}}') && {ANSWER}"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with browsing(tmp_path) as page:
        yield page


@pytest.fixture
async def graphiql(page: Page, gateway_url: str) -> GraphiQL:
    await page.goto(f"{gateway_url}/graphql")
    await page.until(
        "globalThis.__MONACO?.editor.getEditors().length >= 3 && !document.querySelector('.graphiql-spinner')"
    )
    return GraphiQL(page)


def foreign(page: Page, origin: str) -> list[str]:
    """The addresses that a page asked for elsewhere; `data:` is in the page already."""
    ours = (f"{origin}/", origin.replace("http", "ws") + "/", "data:")
    return [address for address in page.requests if not address.startswith(ours)]


async def test_graphiql_runs_queries_as_the_viewer(graphiql: GraphiQL, page: Page, gateway_url: str):
    """Its own first query, a registration, then the new viewer by cookie; nothing is refused by the strict policy."""
    first = await graphiql.run()
    assert set(first["data"]["posts"]) == {"totalCount", "nodes", "pageInfo"}

    account = {"name": "Bea Browser", "email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse"}
    register = "mutation Register($input: RegisterInput!) { register(input: $input) { accessToken user { name } } }"
    registered = (await graphiql.run(register, {"input": account}))["data"]["register"]
    assert registered["user"] == {"name": "Bea Browser"}

    viewer = "{ viewer { name email } }"
    assert await graphiql.run(viewer) == {"data": {"viewer": {"name": "Bea Browser", "email": account["email"]}}}
    await page.send("Network.clearBrowserCookies")
    assert await graphiql.run(viewer) == {"data": {"viewer": None}}
    bearer = {"Authorization": f"Bearer {registered['accessToken']}"}
    assert (await graphiql.run(viewer, headers=bearer))["data"]["viewer"]["name"] == "Bea Browser"

    assert foreign(page, gateway_url) == []
    assert page.complaints == []


async def test_graphiql_follows_a_subscription(graphiql: GraphiQL, page: Page, gateway_url: str):
    """Live, over a socket that begins as the viewer of the moment; a mutation of the same page is heard."""
    account = {"name": "Liv Live", "email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse"}
    register = "mutation Register($input: RegisterInput!) { register(input: $input) { accessToken } }"
    token = (await graphiql.run(register, {"input": account}))["data"]["register"]["accessToken"]
    await graphiql.start("subscription Drafts { postEvents(types: [CREATED]) { type post { title status } } }")
    await page.until("document.querySelector('.graphiql-execute-button').getAttribute('aria-label').startsWith('Stop')")
    async with httpx.AsyncClient(base_url=gateway_url) as http:
        while not (said := await graphiql.said()):  # the socket tells nobody that it is heard
            await create(http, token)
            await asyncio.sleep(0.1)
    assert json.loads(said) == {
        "data": {"postEvents": {"type": "CREATED", "post": {"title": "A draft", "status": "DRAFT"}}}
    }
    assert any(address.startswith("ws") for address in page.requests)
    assert foreign(page, gateway_url) == []
    assert page.complaints == []


async def create(http: httpx.AsyncClient, token: str) -> None:
    """A draft, which is told to its author alone."""
    post = '{title: "A draft", content: "Seen by its author alone."}'
    body = {"query": f"mutation {{ createPost(input: {post}) {{ id }} }}"}
    response = await http.post("/graphql", json=body, headers={"Authorization": f"Bearer {token}"})
    assert "errors" not in response.json()


async def test_the_rest_page_draws_every_endpoint(page: Page, gateway_url: str):
    await page.goto(f"{gateway_url}/docs")
    described = await page.evaluate("fetch('/openapi.json').then((answer) => answer.json())")
    endpoints = sum(len(methods) for methods in described["paths"].values())
    assert await page.until(f"document.querySelectorAll('.opblock').length === {endpoints}")
    assert foreign(page, gateway_url) == []
    assert page.complaints == []


async def test_the_landing_page_links_to_the_others(page: Page, gateway_url: str):
    await page.goto(f"{gateway_url}/")
    complete = "document.readyState === 'complete'"
    links = await page.until(f"{complete} && Array.from(document.links, (link) => link.pathname)")
    assert links == ["/graphql", "/docs", "/api/health", "/openapi.json"]
    assert await page.until("document.querySelector('img').naturalWidth > 0")
    assert foreign(page, gateway_url) == []
    assert page.complaints == []
