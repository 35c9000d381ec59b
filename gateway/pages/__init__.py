"""The pages that people open: a landing page, GraphiQL, and the OpenAPI page, with every byte from this server."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.pages.assets import Assets
from gateway.pages.markup import load_page, page_response, remove_sections

COMMON = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src 'self' data:"
SCRIPTED = f"{COMMON}; script-src 'self'; connect-src 'self'"

LANDING_POLICY = f"{COMMON}; style-src 'self'"
DOCS_POLICY = f"{SCRIPTED}; style-src 'self'"
# Monaco writes the places of its lines into the markup, and its colours into style sheets: inline styles, both.
GRAPHIQL_POLICY = f"{SCRIPTED}; style-src 'self' 'unsafe-inline'; worker-src 'self'; font-src 'self'"


def page_routes(*, graphiql: bool, docs: bool = True) -> list[BaseRoute]:
    """`/`, `/docs` and `/assets`; GraphiQL itself is answered by the GraphQL endpoint, with `graphiql_page`."""
    hidden = [name for name, shown in (("graphiql", graphiql), ("docs", docs)) if not shown]
    routes = [
        _route("/", remove_sections(load_page("landing"), *hidden), LANDING_POLICY),
        _route("/docs", load_page("docs"), DOCS_POLICY),
        Route("/assets/{name}", Assets().answer, name="asset", include_in_schema=False),
    ]
    return [route for route in routes if docs or route.path != "/docs"]


def graphiql_page() -> Response:
    """GraphiQL for a browser; the same address answers programs in JSON, hence `Vary: Accept`."""
    return page_response(load_page("graphiql"), GRAPHIQL_POLICY, Vary="Accept")


def _route(path: str, content: str, policy: str) -> Route:
    async def answer(request: Request) -> Response:
        return page_response(content, policy)

    return Route(path, answer, name=f"page {path}", include_in_schema=False)
