"""Records of requests and the answers they got; plain facts, shared by the gateway and the stores that keep them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was given: status, headers as sent, body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Whose request it is: an idempotency key means something only together with tenant, client and operation."""

    tenant: str
    client_id: str
    operation: str
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The outcome of claiming a key: ours with a ticket, or what stands in the way (nothing named: still running)."""

    ticket: str | None = None
    fingerprint_differs: bool = False
    answer: KeptAnswer | None = None
