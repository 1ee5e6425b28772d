"""What all rooms of one tenant's pod share: client, directory, mapping of fields, one writer per record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift, VendorRejected, VendorThrottled
from shared.errors.taxonomy import VendorUnavailable as Unavailable
from shared.outbound import drift
from system_apis.connectors.oracle_fusion.client import VENDOR, FusionClient
from system_apis.connectors.oracle_fusion.directory import Directory
from system_apis.connectors.oracle_fusion.settings import PodSettings
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding

Model = TypeVar("Model")
Body = dict[str, Any]


class Account:
    """One tenant's pod."""

    def __init__(self, binding: Binding, client: FusionClient, fields: FieldMap, settings: PodSettings) -> None:
        self.binding = binding
        self.client = client
        self.fields = fields
        self.settings = settings
        self.directory = Directory(client, fields, item_kind=settings.item_kind)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def take(self, entity: str, row: Mapping[str, Any], model: type[Model]) -> Model:
        """A row as the payload of an entity, the tenant's own fields put right first."""
        return drift(VENDOR, model, self.fields[entity].take(row))

    def give(self, entity: str, body: Mapping[str, Any]) -> Body:
        """A body as the tenant's pod wants it."""
        return self.fields[entity].give(body)

    @asynccontextmanager
    async def writing(self, identifier: str) -> AsyncGenerator[None]:
        """One writer per record, as look-up and creation are two calls; a refusal empties the directory."""
        lock = self._locks.setdefault(identifier, asyncio.Lock())
        async with lock:
            try:
                yield
            except VendorRejected:
                self.directory.forget()
                raise


@contextmanager
def begun(what: str) -> Generator[None]:
    """Something was written already: that the pod falls silent now no longer means that nothing was."""
    try:
        yield
    except (Unavailable, VendorThrottled) as error:
        raise OutcomeUnknown(
            f"oracle_fusion took {what}, whole or in part, and fell silent.", detail=error.message
        ) from error


@contextmanager
def canonical() -> Generator[None]:
    """What the pod holds may not fit our language: an unknown currency, a name of 300 letters."""
    try:
        yield
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
        raise VendorDrift(
            f"oracle_fusion holds what does not fit {error.title}: {listed}", findings=findings
        ) from error
