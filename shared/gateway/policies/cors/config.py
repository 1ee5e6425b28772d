"""Schema of the CORS policy; only declared facts may enter."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from shared.gateway.facts import REFUSES_NOTHING, PolicyFacts

ANYBODY = "*"
_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:\d{1,5})?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class Cors(PolicyFacts):
    """Which browser origins may call and what their scripts may send and read; none by default."""

    never_dry: ClassVar[str] = REFUSES_NOTHING

    origins: tuple[str, ...] = Field(
        default=(),
        description="Exact origins, scheme included, https except on loopback; or `*` alone, without credentials.",
        examples=[["https://portal.example"]],
    )
    credentials: bool = Field(
        default=False, description="Whether scripts may send cookies along and read the answer; never with `*`."
    )
    request_headers: tuple[str, ...] = Field(
        default=(
            "Authorization",
            "Content-Type",
            "DPoP",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
            "X-Correlation-Id",
            "X-Request-Deadline",
            "traceparent",
        ),
        description="Fields a script may send.",
    )
    exposed_headers: tuple[str, ...] = Field(
        default=(
            "X-Correlation-Id",
            "ETag",
            "RateLimit",
            "RateLimit-Policy",
            "Retry-After",
            "Idempotency-Replayed",
            "Deprecation",
            "Sunset",
            "Link",
            "Location",
            "WWW-Authenticate",
        ),
        description="Fields of the answer a script may read.",
    )
    max_age_seconds: int = Field(default=600, ge=0, le=86400, description="How long a browser keeps the preflight.")

    @field_validator("origins")
    @classmethod
    def _origins_are_exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != ANYBODY and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"`{origin}` is no origin: lower case, https (http on loopback only), no path")
        if ANYBODY in origins and len(origins) > 1:
            raise ValueError("`*` stands alone: it lets every other origin in as well")
        return origins

    @field_validator("request_headers", "exposed_headers")
    @classmethod
    def _headers_are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _HEADER.fullmatch(name) or name == ANYBODY:
                raise ValueError(f"`{name}` is no name of a header field")
        return names

    @model_validator(mode="after")
    def _credentials_need_names(self) -> Self:
        if self.credentials and ANYBODY in self.origins:
            raise ValueError("credentials for `*` would let every site act for whoever is logged in: name the origins")
        return self
