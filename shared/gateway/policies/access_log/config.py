"""Schema of the access-log policy; only declared facts may enter."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.gateway.facts import REFUSES_NOTHING, PolicyFacts


class AccessLog(PolicyFacts):
    """One structured line per request."""

    never_dry: ClassVar[str] = REFUSES_NOTHING

    skip_success: bool = Field(default=False, description="Leave out answers below 400, for probes.")
