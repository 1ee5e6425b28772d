"""A tier's settings from the environment; addresses and secrets enter, policies do not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_ENDED_BY_CONFIGURATION = 2
_Port = Annotated[int, Field(ge=0, le=65535)]


class TierSettings(BaseSettings):
    """What every tier needs to know; a tier extends it with its own keys and its `env_prefix`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="THROUGHLINE_")

    host: str = "127.0.0.1"
    port: _Port
    database_url: str = Field(pattern=r"^postgres(ql)?(\+psycopg)?://")
    nats_url: str | None = Field(default=None, pattern=r"^(nats|tls)://")
    counters_url: str = Field(default="memory://", pattern=r"^(memory|redis|rediss|redis\+unix|valkey|valkeys)://")
    issuer_url: str = Field(pattern=r"^https?://[^/\s]+")
    issuer_audience: str = Field(
        default="throughline-experience",
        min_length=1,
        description="How tokens for the issuer's own APIs are addressed.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="Where callers reach this tier (proofs of possession and metadata name it); else host and port.",
    )
    audience: str = Field(min_length=1)
    client_id: str = Field(default="", description="Of this tier at the issuer, for calls to the tier below.")
    client_secret: SecretStr = SecretStr("")
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR|debug|info|warning|error)$")
    gateway_dir: Path = Path("deploy/gateway")
    gateway_reload_seconds: float = Field(
        default=2.0, ge=0, le=3600, description="How often the files there are looked at; 0: only when SIGHUP comes."
    )
    openapi_dir: Path = Field(
        default=Path("openapi"), description="Published documents: current ones, releases, journeys."
    )

    @property
    def address(self) -> str:
        """Where callers reach this tier, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


_S = TypeVar("_S", bound=BaseSettings)


def load_settings(kind: type[_S]) -> _S:
    """The settings, or the end of the process with one `KEY: reason` line per wrong key."""
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        stop([f"{_key(prefix, one['loc'])}: {_reason(one['msg'], one['type'])}" for one in error.errors()])


def stop(lines: list[str]) -> NoReturn:
    """End the process with the reasons on standard error."""
    for line in lines:
        sys.stderr.write(f"{line}\n")
    raise SystemExit(_ENDED_BY_CONFIGURATION)


def _key(prefix: str, place: tuple[int | str, ...]) -> str:
    return f"{prefix}{'__'.join(str(part) for part in place)}".upper()


def _reason(message: str, kind: str) -> str:
    return "is not set" if kind == "missing" else message
