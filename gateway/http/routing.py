"""The way in: our own layers around everything, and a short way past FastAPI's for what is asked most."""

import re
from collections.abc import Sequence
from itertools import takewhile
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

LAST = re.compile(r"([^{}]*)/\{(\w+)\}")
"""A path whose last part, and no other, is a parameter; text, as no type is named."""


class FastRoute:
    """Marks an ASGI application that asks nothing of FastAPI: no dependencies, open files or handlers of errors."""


class DovetailApp(FastAPI):
    """FastAPI within our layers, where its own surround only what needs them.

    Its layers for errors, telemetry, bodies and files, and its way to a route, take as long as reading from Postgres.
    """

    def __init__(self, *, around: Sequence[Middleware], routes: Sequence[BaseRoute], **options: Any) -> None:
        super().__init__(**options)
        self.around, self.is_traced = around, True
        self.state = SimpleNamespace()  # Starlette's own looks each name up in a dictionary, in Python
        self.router.routes.extend(routes)

    def build_middleware_stack(self) -> ASGIApp:
        """When the server starts. Whoever has FastAPI trace requests has said so by then: asking costs, too."""
        self.is_traced = self._native_telemetry.enabled()
        app: ASGIApp = FastRouter(super().build_middleware_stack(), self.routes)
        for layer, arguments, options in reversed(self.around):
            app = layer(app, *arguments, **options)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_traced or scope["type"] == "lifespan":
            return await super().__call__(scope, receive, send)
        scope["app"] = self
        return await self.middleware_stack(scope, receive, send)


class FastRouter:
    """Goes straight to routes that are `Direct`. FastAPI's router finds all others, and refuses what is not allowed."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        plain = [route for route in routes if isinstance(route, Route)]
        direct = [route for route in plain if isinstance(route.app, FastRoute) and has_precedence(route, plain)]
        self.of_path = {(method, route.path): route for route in direct for method in route.methods or ()}
        self.of_folder = {
            (method, folder[1]): (route, folder[2])
            for route in direct
            if (folder := LAST.fullmatch(route.path))
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.match(scope)(scope, receive, send)

    def match(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http":
            return self.app
        if route := self.of_path.get((scope["method"], scope["path"])):
            scope["route"] = route
            return route.app
        folder, _, last = scope["path"].rpartition("/")
        if last and (found := self.of_folder.get((scope["method"], folder))):
            route, name = found
            scope["route"], scope["path_params"] = route, {name: last}
            return route.app
        return self.app


def has_precedence(route: Route, routes: Sequence[Route]) -> bool:
    """Whether no route before it takes what matches it too."""
    before = takewhile(lambda other: other is not route, routes)
    return not any(route.path_regex.match(other.path) and share_method(route, other) for other in before)


def share_method(one: Route, other: Route) -> bool:
    return one.methods is None or other.methods is None or bool(one.methods & other.methods)
