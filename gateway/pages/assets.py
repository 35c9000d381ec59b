"""Scripts, styles and fonts: stored gzipped, with a content hash in their names so that browsers cache them forever."""

import gzip
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
}

HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Browsers apply the policy of a worker's script to the worker.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file's media type and gzipped content."""

    media_type: str
    gzipped: bytes

    def response(self, name: str, *, accepts_gzip: bool) -> Response:
        etag = f'"{name}.gz"' if accepts_gzip else f'"{name}"'
        headers = HEADERS | {"Content-Type": self.media_type, "ETag": etag}
        if accepts_gzip:
            return Response(self.gzipped, headers=headers | {"Content-Encoding": "gzip"})
        return Response(gzip.decompress(self.gzipped), headers=headers)


class Assets:
    """All built files, in memory: about 2 MB."""

    def __init__(self) -> None:
        paths = [path for path in (files("gateway.pages") / "static").iterdir() if path.name.endswith(".gz")]
        self._assets = {
            (name := path.name.removesuffix(".gz")): Asset(MEDIA_TYPES[PurePath(name).suffix], path.read_bytes())
            for path in paths
        }

    async def get(self, request: Request) -> Response:
        """Return the file of the path's `name`, 304 if the client has it, or 404."""
        name = request.path_params["name"]
        asset = self._assets.get(name)
        if asset is None:
            raise HTTPException(404)
        accepts = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        response = asset.response(name, accepts_gzip=accepts)
        if response.headers["ETag"] not in request.headers.get("If-None-Match", ""):
            return response
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return Response(status_code=304, headers=headers)


def accepts_gzip(header: str) -> bool:
    """Return whether an `Accept-Encoding` header allows gzip, as `gzip` or `*` with a quality above 0."""
    qualities = dict(parse_coding(coding) for coding in header.lower().split(","))
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def parse_coding(coding: str) -> tuple[str, float]:
    """Return the name and quality of a content coding, such as `gzip;q=0.5`."""
    name, _, parameter = coding.partition(";")
    try:
        return name.strip(), float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        return name.strip(), 0.0
