"""The built scripts, styles and fonts: stored gzipped, named after their content, so browsers keep them for good."""

import gzip
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
}

HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # A worker is held to the policy that comes with its own script.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its media type and its gzipped bytes."""

    type: str
    gzipped: bytes

    def response(self, name: str, *, packed: bool) -> Response:
        etag = f'"{name}.gz"' if packed else f'"{name}"'
        headers = HEADERS | {"Content-Type": self.type, "ETag": etag}
        if packed:
            return Response(self.gzipped, headers=headers | {"Content-Encoding": "gzip"})
        return Response(gzip.decompress(self.gzipped), headers=headers)


class Assets:
    """All files of the build, about 2 MB together, kept in memory."""

    def __init__(self) -> None:
        packed = [file for file in (files("gateway.pages") / "static").iterdir() if file.name.endswith(".gz")]
        names = [file.name.removesuffix(".gz") for file in packed]
        types = [TYPES[PurePath(name).suffix] for name in names]
        self._assets = {
            name: Asset(type, file.read_bytes()) for name, type, file in zip(names, types, packed, strict=True)
        }

    async def answer(self, request: Request) -> Response:
        """The file that the path's `name` asks for, 304 where the browser has it already, or 404."""
        name = request.path_params["name"]
        asset = self._assets.get(name)
        if asset is None:
            raise HTTPException(404)
        response = asset.response(name, packed=accepts_gzip(request.headers.get("Accept-Encoding", "")))
        if response.headers["ETag"] in request.headers.get("If-None-Match", ""):
            return not_modified(response)
        return response


def accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: by its name or by `*`, and not with the weight nought."""
    weights = dict(_weight(coding) for coding in accepted.lower().split(","))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(coding: str) -> tuple[str, float]:
    name, _, parameter = coding.partition(";")
    try:
        return name.strip(), float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        return name.strip(), 0.0


def not_modified(response: Response) -> Response:
    """The 304 for an answer that the client holds: its headers, less those that describe a body."""
    kept = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return Response(status_code=304, headers=kept)
