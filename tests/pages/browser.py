"""Headless Chromium over its DevTools protocol: enough to open a page, press keys, and see what it asked for."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import websockets

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1440,900",
    "--remote-debugging-port=0",
)
# What a page is not let to do, a strict policy of ours or the browser's own rules, is in one of these two.
COMPLAINTS = ("Log.entryAdded", "Runtime.exceptionThrown")


class Page:
    """One tab: `requests` are the addresses it asked for, `complaints` the errors that its console shows."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.requests: list[str] = []
        self.complaints: list[dict[str, Any]] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command and its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        return await asyncio.wait_for(self._answers[number], 30)

    async def open(self) -> None:
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self._watch()

    async def goto(self, address: str) -> None:
        await self.send("Page.navigate", url=address)

    async def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression gives in the page; promises are waited for."""
        said = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def until(self, expression: str, seconds: float = 30) -> Any:
        """Wait until an expression is true, and give its value."""
        async with asyncio.timeout(seconds):
            while not (value := await self.evaluate(expression)):  # noqa: ASYNC110 - the page tells nobody
                await asyncio.sleep(0.1)
        return value

    async def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press and let go one key; `code` is its Windows virtual key code, `modifiers` 2 for Ctrl."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, modifiers=modifiers
            )

    async def screenshot(self) -> str:
        """The page as a PNG, in base64."""
        return (await self.send("Page.captureScreenshot"))["data"]

    async def listen(self) -> None:
        """Take in what the browser says, until its socket closes."""
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._settle(message)
            elif message["method"] == "Target.attachedToTarget" and self._session:
                await self._watch(message["params"]["sessionId"])  # a worker asks for files of its own
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                self.requests.append(message["params"]["url"])
            elif message["method"] in COMPLAINTS:
                self.complaints.append(message["params"])

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._answers.pop(message["id"], None)
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(RuntimeError(message["error"]["message"]))
        else:
            answer.set_result(message["result"])

    async def _watch(self, session: str | None = None) -> None:
        """Ask for the events of this tab, or of one of its workers, which is then let go on."""
        attach = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        worker = [("Network.enable", {}), ("Runtime.enable", {}), ("Runtime.runIfWaitingForDebugger", {})]
        page = [("Page.enable", {}), ("Log.enable", {}), *worker[:2], ("Target.setAutoAttach", attach)]
        for method, params in worker if session else page:
            message = {"id": next(self._numbers), "method": method, "params": params}
            await self._socket.send(json.dumps(message | {"sessionId": session or self._session}))


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Page]:
    """A new tab in a browser of its own, with an empty profile; skips where there is no Chromium."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(NAMES)})")
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={profile}", stdout=silent, stderr=silent
    )
    try:
        async with websockets.connect(await _address(profile), max_size=None) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            await page.open()
            yield page
            with suppress(websockets.ConnectionClosed):
                await page.send("Browser.close")
                await listening
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _address(profile: Path) -> str:
    """Where the browser's DevTools listen, which it notes in its profile."""
    note = profile / "DevToolsActivePort"
    async with asyncio.timeout(60):
        while not note.exists() or "\n" not in note.read_text():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
    port, path = note.read_text().split()
    return f"ws://127.0.0.1:{port}{path}"
