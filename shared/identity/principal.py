"""The caller of a request, as its access token states it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """Subject (a person or a machine), the OAuth client it came through, its tenant and its scopes.

    `actor` is set when a tier acts on behalf of the subject (RFC 8693 `act`). `customers` is set for those who may see
    some customers' records only (a customer's own people, a delivery partner): whatever belongs to another customer
    does not exist for them; None: the whole tenant. `session` names the portal session the token was issued in.
    """

    subject: str
    client_id: str
    tenant: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    plan: str = "standard"
    actor: str | None = None
    customers: frozenset[str] | None = None
    session: str | None = None
    token: str = field(default="", repr=False)

    def may(self, *scopes: str) -> bool:
        """Whether the caller holds all of the scopes."""
        return self.scopes.issuperset(scopes)

    def sees_customer(self, customer_id: str | None) -> bool:
        """Whether records of that customer exist for the caller."""
        return self.customers is None or customer_id in self.customers
