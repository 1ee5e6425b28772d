"""What the typed clients share: reading canonical models, finding what may be missing, putting by our own id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from shared.outbound import Answer, Outbound, drift, route

Model = TypeVar("Model", bound=BaseModel)
_SYSTEM = "The system tier"


class SystemWire:
    """One connection to the system tier, as one tenant."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def get(self, model: type[Model], template: str, **ids: str) -> Model:
        """The resource at the path. Raises NotFound."""
        return _as(model, await self._outbound.read("GET", route(template, **ids)))

    async def find(self, model: type[Model], template: str, **ids: str) -> Model | None:
        """The resource at the path, or None."""
        try:
            return await self.get(model, template, **ids)
        except NotFound:
            return None

    async def page(
        self,
        model: type[Model],
        path: str,
        *,
        since: datetime | None = None,
        cursor: str | None = None,
        limit: int = 500,
        at_most: float | None = None,
    ) -> Page[Model]:
        """One page of a list of changes, oldest first; `at_most`: seconds that what is remembered may be old."""
        params: dict[str, Any] = {"limit": limit}
        if since is not None:
            params["modified_since"] = since.isoformat()
        if cursor is not None:
            params["cursor"] = cursor
        answer = await self._outbound.read("GET", path, params=params, headers=_freshness(at_most))
        return drift(_SYSTEM, Page[model], answer.json())

    async def whole(self, model: type[Model], path: str, *, at_most: float | None = None) -> tuple[Model, ...]:
        """A short list, all its pages; `at_most`: seconds that what is remembered may be old, 0 for none."""
        items: list[Model] = []
        cursor: str | None = None
        while True:
            page = await self.page(model, path, cursor=cursor, limit=100, at_most=at_most if cursor is None else None)
            items.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return tuple(items)

    async def put(self, model: type[Model], body: BaseModel | Mapping[str, Any], template: str, **ids: str) -> Model:
        """Bring the resource to that state. Repeat: the same resource, recognised by its id."""
        return _as(model, await self._put(body, template, ids))

    async def put_status(self, body: BaseModel, template: str, **ids: str) -> None:
        """Bring the resource to that state; there is no answer body. Repeat: the same values again."""
        await self._put(body, template, ids)

    async def delete(self, template: str, **ids: str) -> None:
        """Take the resource out of use. Repeat: nothing more."""
        try:
            await self._outbound.write("DELETE", route(template, **ids), repeatable=True)
        except NotFound:
            return

    async def _put(self, body: BaseModel | Mapping[str, Any], template: str, ids: Mapping[str, str]) -> Answer:
        document = body.model_dump(mode="json") if isinstance(body, BaseModel) else dict(body)
        return await self._outbound.write("PUT", route(template, **ids), json=document, repeatable=True)

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._outbound.aclose()


def _freshness(at_most: float | None) -> dict[str, str] | None:
    if at_most is None:
        return None
    return {"Cache-Control": f"max-age={at_most:.0f}" if at_most else "no-cache"}


def _as(model: type[Model], answer: Answer) -> Model:
    return drift(_SYSTEM, model, answer.json())
