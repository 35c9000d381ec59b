"""The application of a test, listening on a port of this machine: for what only real connections have."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI


class Quiet(uvicorn.Server):
    """Leaves signals to the test run."""

    def install_signal_handlers(self) -> None: ...


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The address, without a scheme, of an application that has been started already."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            lifespan="off",
            http="gateway.connections:Connection",
            ws="gateway.connections:Socket",
            log_config=None,
            access_log=False,
        )
        config.load()
        server = Quiet(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        ticking = asyncio.create_task(server.main_loop())
        try:
            yield "{}:{}".format(*listener.getsockname())
        finally:
            server.should_exit = server.force_exit = True
            await ticking
            await server.shutdown(sockets=[])
