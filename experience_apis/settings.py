"""Settings of the experience tier, from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.serving.settings import TierSettings


class ExperienceSettings(TierSettings):
    """`THROUGHLINE_EXPERIENCE_*`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="THROUGHLINE_EXPERIENCE_")

    port: int = Field(default=8103, ge=0, le=65535)
    audience: str = "throughline-experience"
    process_url: str = Field(pattern=r"^https?://[^/\s]+", description="Address of the process tier.")
    process_audience: str = "throughline-process"
    token_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="Token endpoint the tier exchanges tokens at; by default the issuer's.",
    )
    clients_file: Path = Field(description="YAML file with the OAuth clients; see experience_apis/identity/seeds.py.")
    sealing_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Seals the signing keys in the database; all replicas need the same. None: `sealing_key_file`.",
    )
    sealing_key_file: Path = Field(
        default=Path(".throughline/sealing.key"), description="Made at first start, readable by its owner only."
    )
    access_token_seconds: int = Field(default=900, ge=60, le=3600, description="Lifetime of access tokens.")
    users_file: Path | None = Field(
        default=None, description="YAML file with the people; see experience_apis/identity/people/seeds.py."
    )
    session_idle_seconds: int = Field(default=1800, ge=60, le=86_400, description="A session unused for so long ends.")
    session_seconds: int = Field(default=43_200, ge=300, le=604_800, description="Every session ends after so long.")
    trusted_issuers_file: Path | None = Field(
        default=None, description="YAML file with other OpenID providers; see experience_apis/identity/providers.py."
    )
    allow_loopback_addresses: bool = Field(
        default=False,
        description="Whether addresses that clients name (jwks_uri, webhooks) may be on this machine, without TLS.",
    )
    webhook_seconds: float = Field(default=15.0, ge=0.1, le=60.0, description="How long a webhook's receiver may take.")
    signing_key_days: int = Field(
        default=30, ge=0, le=365, description="A new signing key is announced after so many days; 0: only by hand."
    )
    refresh_seconds: int = Field(default=28_800, ge=300, le=604_800, description="An unused refresh token ends.")
    failed_secrets_per_minute: int = Field(default=10, ge=1, le=1000, description="Per client and address.")
