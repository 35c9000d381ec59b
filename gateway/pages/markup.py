"""HTML pages as responses with a Content-Security-Policy."""

import re
from functools import cache
from importlib.resources import files

from starlette.responses import HTMLResponse, Response


@cache
def load_page(name: str) -> str:
    """Return the HTML of a page, as the asset build wrote it."""
    return (files("gateway.pages") / "html" / f"{name}.html").read_text(encoding="utf-8")


def remove_sections(content: str, *sections: str) -> str:
    """Remove the sections between `<!-- name -->` and `<!-- /name -->`."""
    for name in sections:
        content = re.sub(f"\\s*<!-- {name} -->.*?<!-- /{name} -->", "", content, flags=re.DOTALL)
    return content


def page_response(content: str, policy: str, **headers: str) -> Response:
    """Return a page that browsers revalidate each time; they cache its assets."""
    return HTMLResponse(
        content,
        headers={
            "Cache-Control": "no-cache",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            **headers,
        },
    )
