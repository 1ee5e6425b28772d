"""A plain client of the vendor's wire for the sandbox's own errands: records in batches, lists, links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

import httpx
import orjson

from deploy.sandbox.hubspot.simulator import PEOPLE
from deploy.sandbox.kit.firm import WireRefused

Json = dict[str, Any]
_MOST = 50
_MIXED = 207


class HubspotSession:
    """Calls with a fixed token, several at once where order does not matter."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, token: str = PEOPLE.token) -> None:
        self._base = base_url.rstrip("/")
        self._client = client
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    async def call(self, method: str, path: str, body: Any = None, *, mixed: bool = False, **params: str) -> Any:
        """The answer's JSON (None: no body). `mixed`: a batch may have failed in part. Raises WireRefused."""
        answer = await self._client.request(
            method,
            self._base + path,
            params=params or None,
            content=None if body is None else orjson.dumps(body),
            headers=self._headers,
        )
        if answer.status_code >= 300 or (answer.status_code == _MIXED and not mixed):  # noqa: PLR2004 - HTTP
            raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return orjson.loads(answer.content) if answer.content else None

    async def every(self, kind: str, properties: Sequence[str]) -> AsyncIterator[Json]:
        """All living records of an object."""
        after = ""
        while True:
            more = {"after": after} if after else {}
            path = f"/crm/v3/objects/{kind}"
            answer = await self.call("GET", path, limit=str(_MOST), properties=",".join(properties), **more)
            for row in answer["results"]:
                yield row
            if "paging" not in answer:
                return
            after = answer["paging"]["next"]["after"]

    async def upsert(self, kind: str, key: str, rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
        """Records by a unique property; key's value → record id."""
        filled = [{name: value for name, value in row.items() if value != ""} for row in rows]
        inputs = [{"idProperty": key, "id": row[key], "properties": row} for row in filled]
        answers = await self._batches(f"/crm/v3/objects/{kind}/batch/upsert", inputs)
        return {row["properties"][key]: row["id"] for answer in answers for row in answer["results"]}

    async def link(self, source: str, target: str, pairs: Iterable[tuple[str, str]], type_id: int = 0) -> None:
        """Link records, by the unlabelled type or by one of the vendor's own."""
        ends = [{"from": {"id": one}, "to": {"id": other}} for one, other in pairs]
        if not type_id:
            await self._batches(f"/crm/v4/associations/{source}/{target}/batch/associate/default", ends)
            return
        types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]
        labelled = [{**one, "types": types} for one in ends]
        await self._batches(f"/crm/v4/associations/{source}/{target}/batch/create", labelled)

    async def linked(self, source: str, target: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Whom each record is linked to; records without any are left out."""
        path = f"/crm/v4/associations/{source}/{target}/batch/read"
        answers = await self._batches(path, [{"id": one} for one in ids], mixed=True)
        return {
            row["from"]["id"]: [str(other["toObjectId"]) for other in row["to"]]
            for answer in answers
            for row in answer["results"]
        }

    async def _batches(self, path: str, inputs: Sequence[Any], *, mixed: bool = False) -> list[Json]:
        chunks = [inputs[start : start + _MOST] for start in range(0, len(inputs), _MOST)]
        calls = [self.call("POST", path, {"inputs": chunk}, mixed=mixed) for chunk in chunks]
        return cast("list[Json]", await asyncio.gather(*calls))
