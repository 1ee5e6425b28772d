"""The caller, for routes: what the gateway found out about the bearer of the token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from shared.errors.taxonomy import NotAuthenticated
from shared.gateway.kit import SCOPE_KEY, Kit
from shared.identity.principal import Principal


async def current_principal(request: Request) -> Principal:
    """The principal of this request.

    Raises: NotAuthenticated on operations that are declared public.
    """
    kit: Kit | None = request.scope.get(SCOPE_KEY)
    if kit is None or kit.principal is None:
        raise NotAuthenticated
    return kit.principal


Caller = Annotated[Principal, Depends(current_principal)]
