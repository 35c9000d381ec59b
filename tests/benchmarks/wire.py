"""A request as clients of every kind here send it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """A POST of JSON if it has a body, else a GET."""

    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def packet(self) -> bytes:
        """As it goes over the wire."""
        lines = [f"{'POST' if self.body else 'GET'} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body
