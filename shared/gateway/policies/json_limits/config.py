"""Schema of the JSON limits; only declared facts may enter."""

from __future__ import annotations

from pydantic import Field

from shared.gateway.facts import PolicyFacts


class JsonLimits(PolicyFacts):
    """How deep, wide and long the JSON of a body may be. A member named twice is always refused.

    Two readers may take a different one of two equal names; so whoever checks and whoever acts would see two requests.
    """

    max_depth: int = Field(default=20, gt=0, le=500, description="Objects and arrays within each other.")
    max_keys: int = Field(default=10_000, gt=0, le=1_000_000, description="Members of all objects together.")
    max_items: int = Field(default=10_000, gt=0, le=1_000_000, description="Items of one array.")
    max_string: int = Field(default=65_536, gt=0, le=64 * 1024 * 1024, description="Characters of one string or name.")
