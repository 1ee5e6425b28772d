"""What every act on NetSuite's records needs: who is meant, one writer per record, what silence then means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

from pydantic import ValidationError

from shared.errors.taxonomy import (
    FieldFinding,
    OutcomeUnknown,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from system_apis.connectors.netsuite.bodies import Parties
from system_apis.connectors.netsuite.client import NetSuiteClient
from system_apis.connectors.netsuite.directory import Directory
from system_apis.connectors.netsuite.mapping import is_keepable
from system_apis.connectors.netsuite.payloads import Payload
from system_apis.fields import EntityFields, FieldMap

Record = TypeVar("Record", bound=Payload)


class Desk:
    """Client, directory and field map of one account, and the locks of its records."""

    def __init__(self, client: NetSuiteClient, fields: FieldMap) -> None:
        self.client = client
        self.fields = fields
        self.directory = Directory(client, fields)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def parties(self, customer_id: str, project_id: str, legal_entity: str, currency: str) -> Parties:
        """Internal ids of customer, project, legal entity and currency. Raises NotFound, UnknownReference."""
        return Parties(
            customer=await self.directory.internal("customer", customer_id),
            job=await self.directory.internal("job", project_id),
            subsidiary=(await self.directory.subsidiary(legal_entity)).id,
            currency=await self.directory.currency(currency),
        )

    @asynccontextmanager
    async def writing(self, identifier: str) -> AsyncGenerator[None]:
        """One writer per record, as NetSuite keeps the last write and no version; a refusal empties the directory."""
        lock = self._locks.setdefault(identifier, asyncio.Lock())
        async with lock:
            try:
                yield
            except VendorRejected:
                self.directory.forget()
                raise

    async def held(
        self, record: str, identifier: str, kind: type[Record], fields: EntityFields | None = None
    ) -> Record | None:
        """The record under our id, or None."""
        if not is_keepable(identifier):
            return None
        return await self.client.find(record, f"eid:{identifier}", kind, fields=fields)

    async def read_back(
        self,
        record: str,
        key: str,
        model: type[Record],
        *,
        fields: EntityFields | None = None,
        only: str | None = None,
    ) -> Record:
        """What stands there after our write."""
        found = await self.client.find(record, f"eid:{key}", model, fields=fields, only=only)
        if found is None:
            raise OutcomeUnknown(f"netsuite took {record} {key} but does not have it.")
        return found


@contextmanager
def begun(what: str) -> Generator[None]:
    """Something was written already: that NetSuite falls silent now no longer means that nothing was."""
    try:
        yield
    except (VendorUnavailable, VendorThrottled) as error:
        raise OutcomeUnknown(
            f"netsuite took {what}, whole or in part, and fell silent.", detail=error.message
        ) from error


@contextmanager
def canonical() -> Generator[None]:
    """What NetSuite holds may not fit our language: an unknown currency, a name of 300 letters."""
    try:
        yield
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
        raise VendorDrift(f"netsuite holds what does not fit {error.title}: {listed}", findings=findings) from error
