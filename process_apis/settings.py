"""The process tier's settings, from the environment; rules of a firm are data of the tenant, not settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.serving.settings import TierSettings


class TenantClient(BaseModel):
    """The OAuth client whose tokens belong to one tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str = Field(min_length=1)
    client_secret: SecretStr


class ProcessSettings(TierSettings):
    """Environment of the process tier: `THROUGHLINE_PROCESS_*`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="THROUGHLINE_PROCESS_")

    system_url: str = Field(pattern=r"^https?://[^/\s]+", description="Where the system tier listens.")
    tenants_dir: Path = Field(default=Path("deploy/local/tenants"), description="Rules of the firms, one file each.")
    tenant_clients: dict[str, TenantClient] = Field(
        default_factory=dict[str, TenantClient],
        description="JSON, tenant → client. When empty, `client_id` serves the one firm of `tenants_dir`.",
    )
    executor_id: str = Field(
        default="process-1",
        pattern=r"^[A-Za-z0-9._-]{1,60}$",
        description="Stable name of this replica: it goes on with its own runs after a restart.",
    )
    workflow_version: str = Field(
        default="1",
        pattern=r"^[A-Za-z0-9._-]{1,60}$",
        description="Changed when the order of steps changes; runs are taken over within one version only.",
    )
    database_pool: int = Field(default=16, ge=4, le=200)
    heartbeat_seconds: float = Field(default=3.0, gt=0, le=60)
    adopt_after_seconds: float = Field(default=15.0, gt=0, le=3600)
    sweep_seconds: float = Field(default=5.0, gt=0, le=3600, description="How often lost notices are looked for.")
