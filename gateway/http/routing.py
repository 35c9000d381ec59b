"""Routing: our middleware around everything, and direct routing for endpoints that do not need FastAPI."""

import re
from collections.abc import Sequence
from itertools import takewhile
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

PARAMETER_AT_END = re.compile(r"([^{}]*)/\{(\w+)\}")
"""A path with one parameter, of type `str`, as its last segment."""


class FastRoute:
    """Marks an endpoint (ASGI) that does not need FastAPI's dependencies, exception handlers or cleanup of files."""


class DovetailApp(FastAPI):
    """FastAPI with middleware outside its own, which runs only for routes that are no `FastRoute`.

    FastAPI's middleware and routing take as long as a read from Postgres.
    """

    def __init__(
        self, *, outer_middleware: Sequence[Middleware], routes: Sequence[BaseRoute], is_traced: bool, **options: Any
    ) -> None:
        super().__init__(**options)
        self.outer_middleware, self.is_traced = outer_middleware, is_traced
        self.state = SimpleNamespace()  # attribute look-ups in Starlette's `State` are slower
        self.router.routes.extend(routes)

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = FastRouter(super().build_middleware_stack(), self.routes)
        for middleware, arguments, options in reversed(self.outer_middleware):
            app = middleware(app, *arguments, **options)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_traced or scope["type"] == "lifespan":  # FastAPI creates the span of a request here
            return await super().__call__(scope, receive, send)
        scope["app"] = self
        return await self.middleware_stack(scope, receive, send)


class FastRouter:
    """Calls each `FastRoute` directly. FastAPI's router finds all others, and rejects other methods."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        plain = [route for route in routes if isinstance(route, Route)]
        fast = [route for route in plain if isinstance(route.app, FastRoute) and has_precedence(route, plain)]
        self.routes_by_path = {(method, route.path): route for route in fast for method in route.methods or ()}
        self.routes_by_parent = {
            (method, match[1]): (route, match[2])
            for route in fast
            if (match := PARAMETER_AT_END.fullmatch(route.path))
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.match(scope)(scope, receive, send)

    def match(self, scope: Scope) -> ASGIApp:
        """Return the endpoint of a request, with its route and path parameters in the scope; else FastAPI."""
        if scope["type"] != "http":
            return self.app
        if route := self.routes_by_path.get((scope["method"], scope["path"])):
            scope["route"] = route
            return route.app
        parent, _, value = scope["path"].rpartition("/")
        if value and (match := self.routes_by_parent.get((scope["method"], parent))):
            route, name = match
            scope["route"], scope["path_params"] = route, {name: value}
            return route.app
        return self.app


def has_precedence(route: Route, routes: Sequence[Route]) -> bool:
    """Return whether no earlier route matches the same path and method."""
    earlier = takewhile(lambda other: other is not route, routes)
    return not any(route.path_regex.match(other.path) and share_method(route, other) for other in earlier)


def share_method(one: Route, other: Route) -> bool:
    return one.methods is None or other.methods is None or bool(one.methods & other.methods)
