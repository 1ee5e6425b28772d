"""What the connected systems can do, as the system tier tells it."""

from __future__ import annotations

from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, computed_field

from process_apis.systems.fresh import Fresh
from process_apis.systems.wire import SystemWire

_PATH: Final = "/connectors/v1/connectors"
_BLOCKING: Final = frozenset(
    {"object_missing", "field_missing", "field_renamed", "field_newly_required", "field_read_only"}
)
"""Kinds of drift with which a record could not be read or written; others are only shown to operators."""


class Drift(BaseModel):
    """A place where the mapping no longer fits the system's schema: canonical entity and field, and what was found."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    entity: str
    field: str
    kind: str
    reason: str

    @computed_field
    @property
    def is_blocking(self) -> bool:
        """Whether a record could not be read or written with it."""
        return self.kind in _BLOCKING


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

    async def list_connectors(self, *, now: bool = False) -> tuple[ConnectedSystem, ...]:
        """Every connected system in every role it plays; `now`: its schema compared at this moment."""
        ...


class ConnectorsApi:
    """The system tier's `/connectors/v1`."""

    def __init__(self, wire: SystemWire) -> None:
        self._wire = wire
        self._connected = Fresh(self._read)

    async def list_connectors(self, *, now: bool = False) -> tuple[ConnectedSystem, ...]:
        """Every connected system in every role it plays, as it was a few seconds ago at most, or as it is `now`."""
        if now:
            return await self._wire.whole(ConnectedSystem, _PATH, at_most=0)
        return await self._connected.get()

    async def _read(self) -> tuple[ConnectedSystem, ...]:
        told = await self._wire.whole(ConnectedSystem, _PATH)
        if any(drift.is_blocking for one in told for drift in one.drift):  # somebody may have mended it since
            told = await self._wire.whole(ConnectedSystem, _PATH, at_most=0)
        return told
