"""A cache from the URL of an anonymous GET to the key of its response in the response cache.

It saves parsing the request and building that key: 20 µs of the 105 that a cached response takes.
"""

from collections.abc import Hashable

from starlette.types import Scope

from gateway.graphql.cache.lru import LRUCache
from gateway.graphql.cache.response_cache import ResponseCache
from gateway.http.conditional import CREDENTIAL_HEADERS
from gateway.http.request_state import get_request_state
from gateway.rest.framework.responses import JsonBody

MAX_URLS, MAX_URL_BYTES = 5_000, 1024 * 1024


class RequestCache:
    """Keys of the response cache by path and query string, of anonymous requests that were answered."""

    def __init__(self, responses: ResponseCache) -> None:
        self.responses = responses
        self.keys: LRUCache[Hashable] = LRUCache(MAX_URLS, MAX_URL_BYTES, lambda url, _: sum(map(len, url)))

    def store(self, scope: Scope, response_key: Hashable) -> None:
        self.keys.put((scope["path"], scope["query_string"]), response_key)

    def get(self, scope: Scope) -> tuple[JsonBody, int] | None:
        """Return the cached body and its cost in points; None if there is none, or if the request has credentials.

        Credentials may be invalid, so such a request must be authenticated first.
        """
        key = self.keys.get((scope["path"], scope["query_string"]))
        if key is None or not CREDENTIAL_HEADERS.isdisjoint(get_request_state(scope).headers):
            return None
        return self.responses.peek(key, None)
