"""The house and the people of the durability tests; here nothing breaks."""

from __future__ import annotations

from tests.durability.conftest import house, shift

__all__ = ("house", "shift")
