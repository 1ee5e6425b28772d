"""What every policy schema is: frozen facts without unknown keys; nothing that acts may enter."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """A piece of a policy document; an unknown key is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
