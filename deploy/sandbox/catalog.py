"""The vendors of the sandbox, found by their folders: whoever brings a `vendor.py` is in.

One that cannot be used keeps no other from playing; `broken` tells which, and why.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from deploy.sandbox.kit.vendor import SandboxVendor

_HERE = Path(__file__).parent


class VendorBroken(LookupError):
    """A vendor's `vendor.py` cannot be used; the message names the vendor and says why."""


@cache
def vendor_names() -> tuple[str, ...]:
    """Every vendor by name, in order; broken ones too."""
    return tuple(sorted(path.parent.name for path in _HERE.glob("*/vendor.py") if path.parent.name != "kit"))


@cache
def vendors() -> Mapping[str, SandboxVendor]:
    """Every vendor of the sandbox that can be used."""
    return MappingProxyType({name: vendor(name) for name in vendor_names() if name not in broken()})


@cache
def broken() -> Mapping[str, str]:
    """Vendors that cannot be used, and why."""
    found: dict[str, str] = {}
    for name in vendor_names():
        try:
            vendor(name)
        except VendorBroken as error:
            found[name] = str(error)
    return MappingProxyType(found)


@cache
def vendor(name: str) -> SandboxVendor:
    """One vendor. Raises LookupError naming those that are there, VendorBroken."""
    if name not in vendor_names():
        raise LookupError(f"there is no {name} in the sandbox; there are {', '.join(vendor_names())}")
    called = f"deploy/sandbox/{name}/vendor.py"
    try:
        module = importlib.import_module(f"deploy.sandbox.{name}.vendor")
    except Exception as error:
        raise VendorBroken(f"{called} cannot be imported: {type(error).__name__}: {error}") from error
    found: object = getattr(module, "VENDOR", None)
    if not isinstance(found, SandboxVendor):
        raise VendorBroken(f"{called}: VENDOR must be a SandboxVendor, it is {_shown(found)}")
    if found.name != name:
        raise VendorBroken(f"{called}: VENDOR.name is {found.name!r}; it must be the folder's name")
    return found


def _shown(found: object) -> str:
    return "missing" if found is None else f"a {type(found).__name__}"
