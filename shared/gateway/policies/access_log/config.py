"""Schema of the access-log policy; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import Facts


class AccessLog(Facts):
    """One structured line per request."""

    skip_success: bool = Field(default=False, description="Leave out answers below 400, for probes.")
