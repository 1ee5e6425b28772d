"""What the typed clients share: calls to the process tier on behalf of the caller, answers read as told models."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from experience_apis.processes.models import ToldPage
from shared.identity.principal import Principal
from shared.outbound import Outbound, acting_for, drift, route

Model = TypeVar("Model", bound=BaseModel)
_SYSTEM = "The process tier"


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf we ask, and the idempotency key they gave, if any."""

    principal: Principal
    key: str | None = None

    def inner_key(self) -> str:
        """The key towards the process tier: there all callers are one client, so it tells them apart."""
        if self.key is None:
            return uuid.uuid4().hex
        whose = (self.principal.tenant, self.principal.client_id, self.principal.subject, self.key)
        return hashlib.sha256("\x1f".join(whose).encode()).hexdigest()


class ProcessWire:
    """One connection to the process tier."""

    def __init__(self, outbound: Outbound) -> None:
        """`outbound` exchanges the caller's token (`TokenExchange`)."""
        self._outbound = outbound

    async def get(
        self, caller: Caller, model: type[Model], template: str, params: Mapping[str, Any] | None = None, **ids: str
    ) -> Model:
        """The resource at the path, as the caller may see it."""
        with acting_for(caller.principal.token):
            answer = await self._outbound.read("GET", route(template, **ids), params=params)
        return drift(_SYSTEM, model, answer.json())

    async def page(
        self, caller: Caller, model: type[Model], path: str, params: Mapping[str, Any] | None = None
    ) -> ToldPage[Model]:
        """One page of a list."""
        return await self.get(caller, ToldPage[model], path, params)

    async def post(
        self,
        caller: Caller,
        model: type[Model],
        template: str,
        body: Mapping[str, Any],
        *,
        repeatable: bool = False,
        **ids: str,
    ) -> Model:
        """An order; `repeatable`: the process tier recognises a repeat by its key, or a repeat changes nothing."""
        with acting_for(caller.principal.token):
            answer = await self._outbound.write(
                "POST",
                route(template, **ids),
                json=body,
                headers={"Idempotency-Key": caller.inner_key()},
                repeatable=repeatable,
            )
        return drift(_SYSTEM, model, answer.json())

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._outbound.aclose()
