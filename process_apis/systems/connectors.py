"""What the connected systems can do, as the system tier tells it."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from process_apis.systems.fresh import Fresh
from process_apis.systems.wire import SystemWire


class Drift(BaseModel):
    """A place where the mapping no longer fits the system's schema: canonical entity and field, and what was found."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entity: str
    field: str
    kind: str
    reason: str


class ConnectedSystem(BaseModel):
    """A system in a role: what it can do, by entity; `legal_entities` are those it serves alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    role: str
    legal_entities: tuple[str, ...] | None = None
    can: dict[str, tuple[str, ...]]
    drift: tuple[Drift, ...] = ()


class Connectors(Protocol):
    """Tells what is connected."""

    async def list_connectors(self) -> tuple[ConnectedSystem, ...]:
        """Every connected system in every role it plays."""
        ...


class ConnectorsApi:
    """The system tier's `/connectors/v1`."""

    def __init__(self, wire: SystemWire) -> None:
        self._connected = Fresh(lambda: wire.whole(ConnectedSystem, "/connectors/v1/connectors"))

    async def list_connectors(self) -> tuple[ConnectedSystem, ...]:
        """Every connected system in every role it plays, as it was a few seconds ago at most."""
        return await self._connected.get()
