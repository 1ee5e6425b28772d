"""Scopes: may this caller do this, here; looks at the principal only."""

from __future__ import annotations

from shared.errors.taxonomy import NotPermitted
from shared.gateway.kit import Kit
from shared.gateway.policies.scopes.config import Scopes


class ScopesHandler:
    """Asks for every scope of the operation, one of its alternatives, and a tenant that is served."""

    def __init__(self, config: Scopes, needed: tuple[str, ...], one_of: tuple[str, ...] = ()) -> None:
        self._needed = frozenset(needed)
        self._one_of = frozenset(one_of)
        self._refuses_bound = config.bound_callers == "refuse"
        self._tenants = None if config.tenants is None else frozenset(config.tenants)

    def enter(self, kit: Kit) -> None:
        """Refuse who lacks a scope, is of a foreign tenant, or is bound to customers where nothing is filtered."""
        held = kit.principal.scopes if kit.principal else frozenset[str]()
        if not held >= self._needed:
            missing = sorted(self._needed - held)
            told = f"The access token lacks the scope {' '.join(missing)}."
            raise NotPermitted(told, extra={"missing_scopes": missing})
        if self._one_of and not held & self._one_of:
            missing = sorted(self._one_of)
            told = f"The access token holds none of the scopes {' '.join(missing)}."
            raise NotPermitted(told, extra={"missing_scopes": missing})
        if self._refuses_bound and kit.principal is not None and kit.principal.customers is not None:
            raise NotPermitted("This operation is not for callers who are bound to certain customers.")
        if self._tenants is not None and (kit.principal is None or kit.principal.tenant not in self._tenants):
            raise NotPermitted("The caller's tenant is not served here.")
