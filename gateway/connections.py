"""HTTP connections, as uvicorn keeps them, that can be broken from within a request."""

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from gateway.live.feed import CUT


class Connection(AutoHTTPProtocol):
    """Lets a request break its connection. To close one waits until its client has read everything, which may be never.

    Without httptools, uvicorn's other protocol does not come by here, and slow followers are closed in uvicorn's way.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: self.transport.abort}
