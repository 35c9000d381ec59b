"""Pages for browsers: the landing page, GraphiQL and the OpenAPI page, with all scripts and fonts from this server."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.pages.assets import Assets
from gateway.pages.markup import load_page, page_response, remove_sections

BASE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src 'self' data:"
SCRIPT_POLICY = f"{BASE_POLICY}; script-src 'self'; connect-src 'self'"

LANDING_POLICY = f"{BASE_POLICY}; style-src 'self'"
DOCS_POLICY = f"{SCRIPT_POLICY}; style-src 'self'"
# The Monaco editor positions its lines and sets its colours with inline styles.
GRAPHIQL_POLICY = f"{SCRIPT_POLICY}; style-src 'self' 'unsafe-inline'; worker-src 'self'; font-src 'self'"


def page_routes(*, graphiql: bool, docs: bool = True) -> list[BaseRoute]:
    """Return the routes `/`, `/docs` and `/assets`. The GraphQL endpoint serves GraphiQL, with `graphiql_page`."""
    disabled = [name for name, is_enabled in (("graphiql", graphiql), ("docs", docs)) if not is_enabled]
    routes = [
        page_route("/", remove_sections(load_page("landing"), *disabled), LANDING_POLICY),
        Route("/assets/{name}", Assets().get, name="asset", include_in_schema=False),
    ]
    return [*routes, page_route("/docs", load_page("docs"), DOCS_POLICY)] if docs else routes


def graphiql_page() -> Response:
    """Return GraphiQL. The endpoint sends JSON to other clients, hence `Vary: Accept`."""
    return page_response(load_page("graphiql"), GRAPHIQL_POLICY, Vary="Accept")


def page_route(path: str, content: str, policy: str) -> Route:
    async def get(request: Request) -> Response:
        return page_response(content, policy)

    return Route(path, get, name=f"page {path}", include_in_schema=False)
