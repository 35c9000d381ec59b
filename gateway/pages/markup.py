"""Pages as responses: the built HTML, under a content security policy."""

import re
from functools import cache
from importlib.resources import files

from starlette.responses import HTMLResponse, Response


@cache
def load_page(name: str) -> str:
    """The HTML of one page, as the asset build left it."""
    return (files("gateway.pages") / "html" / f"{name}.html").read_text(encoding="utf-8")


def remove_sections(content: str, *sections: str) -> str:
    """The page less the sections that stand between `<!-- name -->` and `<!-- /name -->`."""
    for name in sections:
        content = re.sub(f"\\s*<!-- {name} -->.*?<!-- /{name} -->", "", content, flags=re.DOTALL)
    return content


def page_response(content: str, policy: str, **headers: str) -> Response:
    """A page that browsers ask for afresh each time: the assets that it names are what they keep."""
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
