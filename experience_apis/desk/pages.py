"""What every room that serves pages shares: the frame, the assets and the language; no page of its own."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from fastapi import APIRouter, Request, Response
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from experience_apis.wording.catalog import LANGUAGES, best_language
from shared.errors.taxonomy import NotFound

LANGUAGE_COOKIE = "language"
_HERE = Path(__file__).parent
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"
_A_YEAR = 31_536_000


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages refer to, under a name that changes with its content."""

    name: str
    kind: str
    tag: str
    body: bytes = field(repr=False)
    packed: bytes = field(repr=False)


@cache
def assets() -> Mapping[str, Asset]:
    """Every asset by its plain name (`site.css`)."""
    found: dict[str, Asset] = {}
    for path in sorted((_HERE / "assets").iterdir()):
        if path.suffix in _KINDS:
            body = path.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:16]
            name = f"{path.stem}.{tag}{path.suffix}"
            found[path.name] = Asset(name, _KINDS[path.suffix], f'"{tag}"', body, gzip.compress(body, mtime=0))
    return found


def asset_address(name: str) -> str:
    """Where a browser finds an asset; the address changes when the content does."""
    return f"/assets/{assets()[name].name}"


def assets_router() -> APIRouter:
    """Serves the assets; a browser asks for each of them once."""
    router = APIRouter(include_in_schema=False)

    @router.get("/assets/{file}", name="read_asset")
    async def read_asset(file: str, request: Request) -> Response:
        """An asset by its hashed name."""
        asset = next((one for one in assets().values() if one.name == file), None)
        if asset is None:
            raise NotFound("There is no such file.")
        headers = {"Cache-Control": _FOR_GOOD, "ETag": asset.tag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == asset.tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.kind, headers=headers)
        return Response(asset.body, media_type=asset.kind, headers=headers)

    return router


def page_environment(*folders: Path) -> Environment:
    """Templates of a room over the shared frame; everything is escaped, an unknown name is an error."""
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader([*folders, _HERE / "templates"])]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast("dict[str, object]", environment.globals)["asset"] = asset_address
    return environment


def page_language(request: Request) -> str:
    """The language of a page: asked for in the address (`?lang=de`), remembered, or the browser's."""
    for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if asked in LANGUAGES:
            return asked
    return best_language(request.headers.get("accept-language"))


def remember_language(request: Request, response: Response) -> None:
    """Keep a language that was asked for in the address."""
    asked = request.query_params.get("lang")
    if asked in LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE, asked, max_age=_A_YEAR, path="/", samesite="lax", secure=request.url.scheme == "https"
        )
