"""Settings of the system tier, from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.serving.settings import TierSettings


class SystemSettings(TierSettings):
    """`THROUGHLINE_SYSTEM_*`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="THROUGHLINE_SYSTEM_")

    port: int = Field(default=8101, ge=0, le=65535)
    audience: str = "throughline-system"
    tenants_dir: Path = Field(description="Folder with one `<tenant>.yaml` each: which connectors are bound.")
    schema_check_seconds: float = Field(
        default=3600.0,
        ge=0,
        le=604_800,
        description="Pause between comparisons of mappings with vendors' schemas; 0: never by itself.",
    )
    reference_seconds: float = Field(
        default=60.0, ge=0, le=86_400, description="How old reference data of the ERP may be; 0: always read afresh."
    )
    poll_seconds: float = Field(default=30.0, ge=0, le=86_400, description="Pause between polls; 0: only on request.")
