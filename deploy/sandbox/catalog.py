"""The vendors of the sandbox, found by their folders: whoever brings a `vendor.py` is in."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import cast

from deploy.sandbox.kit.vendor import SandboxVendor

_HERE = Path(__file__).parent


@cache
def vendor_names() -> tuple[str, ...]:
    """Every vendor by name, in order."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/vendor.py") if path.parent.name != "kit"))


@cache
def vendors() -> Mapping[str, SandboxVendor]:
    """Every vendor of the sandbox."""
    return MappingProxyType({name: vendor(name) for name in vendor_names()})


@cache
def vendor(name: str) -> SandboxVendor:
    """One vendor. Raises LookupError naming those that are there."""
    if name not in vendor_names():
        raise LookupError(f"there is no {name} in the sandbox; there are {', '.join(vendor_names())}")
    return cast("SandboxVendor", importlib.import_module(f"deploy.sandbox.{name}.vendor").VENDOR)
