"""What every act on NetSuite's records needs: who is meant, and one writer per record."""

from __future__ import annotations

from typing import TypeVar

from shared.errors.taxonomy import OutcomeUnknown
from system_apis.connectors.netsuite.bodies import Parties
from system_apis.connectors.netsuite.client import NetSuiteClient
from system_apis.connectors.netsuite.directory import Directory
from system_apis.connectors.netsuite.mapping import is_keepable
from system_apis.connectors.netsuite.payloads import Payload
from system_apis.fields import EntityFields, FieldMap
from system_apis.ports.writers import Writers

Record = TypeVar("Record", bound=Payload)


class Desk:
    """Client, directory and field map of one account, and the writers of its records: NetSuite keeps no version."""

    def __init__(self, client: NetSuiteClient, fields: FieldMap) -> None:
        self.client = client
        self.fields = fields
        self.directory = Directory(client, fields)
        self.writers = Writers(self.directory.forget)

    async def parties(self, customer_id: str, project_id: str, legal_entity: str, currency: str) -> Parties:
        """Internal ids of customer, project, legal entity and currency. Raises NotFound, UnknownReference."""
        return Parties(
            customer=await self.directory.internal("customer", customer_id),
            job=await self.directory.internal("job", project_id),
            subsidiary=(await self.directory.subsidiary(legal_entity)).id,
            currency=await self.directory.currency(currency),
        )

    async def held(
        self,
        record: str,
        identifier: str,
        kind: type[Record],
        fields: EntityFields | None = None,
        only: str | None = None,
    ) -> Record | None:
        """The record under our id, or None."""
        if not is_keepable(identifier):
            return None
        return await self.client.find(record, f"eid:{identifier}", kind, fields=fields, only=only)

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
