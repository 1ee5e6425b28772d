"""The sandbox as one server: every chosen vendor under its name, with the secrets it is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp

from deploy.sandbox.catalog import VendorBroken, vendor, vendor_names, vendors
from deploy.sandbox.kit.control import sandbox_app
from deploy.sandbox.kit.vendor import Kept

Options = Mapping[str, Kept]
_OPTIONS: TypeAdapter[dict[str, dict[str, str]]] = TypeAdapter(dict[str, dict[str, str]])


class SandboxMisconfigured(Exception):
    """The options file cannot be used; the message names the key."""


def build(options: Options | None = None) -> ASGIApp:
    """The sandbox with the vendors that are named, or with all of them and secrets nobody else knows.

    Raises SandboxMisconfigured naming a vendor whose simulator goes by another name.
    """
    chosen = {name: one.generate() for name, one in vendors().items()} if options is None else options
    simulators = {name: vendor(name).simulator(kept) for name, kept in chosen.items()}
    for name, simulator in simulators.items():
        if simulator.name != name:
            raise SandboxMisconfigured(
                f"simulator of {name}: its name is {simulator.name!r}; it must be the folder's name"
            )
    return sandbox_app(simulators)


def read_options(file: Path) -> Options:
    """The options file: vendor → its secrets. Raises SandboxMisconfigured naming the key."""
    try:
        options = _OPTIONS.validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SandboxMisconfigured(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        found: list[Any] = error.errors(include_url=False, include_input=False)
        listed = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in found)
        raise SandboxMisconfigured(f"{file}: {listed}") from None
    for name, kept in options.items():
        if name not in vendor_names():
            raise SandboxMisconfigured(
                f"{file}: {name}: there is no such vendor; there are {', '.join(vendor_names())}"
            )
        try:
            missing = sorted(vendor(name).generate().keys() - kept.keys())
        except VendorBroken as error:
            raise SandboxMisconfigured(f"{file}: {name}: {error}") from error
        if missing:
            raise SandboxMisconfigured(f"{file}: {name}.{missing[0]}: Field required")
    return options
