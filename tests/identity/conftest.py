"""What tests of identity ask for: besides what all may, the servers on sockets of tests/live."""

from tests.live.conftest import listen, live

__all__ = ["listen", "live"]
