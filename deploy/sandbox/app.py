"""The whole sandbox as one server: every vendor's simulator under its name, with the credentials it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp

from deploy.sandbox.kantata.simulator import TOKEN
from deploy.sandbox.kantata.simulator import simulator as kantata
from deploy.sandbox.kit.control import Simulator, sandbox_app
from deploy.sandbox.netsuite.simulator import simulator as netsuite
from deploy.sandbox.netsuite.tokens import Certificate
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT, LOADER_CLIENT
from deploy.sandbox.salesforce.simulator import simulator as salesforce


class SandboxMisconfigured(Exception):
    """The options file cannot be used; the message names the key."""


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClientSecret(_Options):
    """An app's id and secret."""

    client_id: str
    secret: str = Field(repr=False)


class SalesforceOptions(_Options):
    """The app of Throughline's connector; whoever loads data keeps the demonstration login."""

    connector: ClientSecret = ClientSecret(client_id=CONNECTOR_CLIENT.client_id, secret=CONNECTOR_CLIENT.secret)


class KantataOptions(_Options):
    """The administrator's token."""

    token: str = Field(default=TOKEN, repr=False)


class TrustedCertificate(_Options):
    """A certificate's integration and its public key (PEM)."""

    client_id: str
    public_key: str


class NetSuiteOptions(_Options):
    """Certificate id → certificate."""

    certificates: dict[str, TrustedCertificate] = {}


class SandboxOptions(_Options):
    """Credentials the simulators accept; what is left out keeps the simulator's own."""

    salesforce: SalesforceOptions = SalesforceOptions()
    kantata: KantataOptions = KantataOptions()
    netsuite: NetSuiteOptions = NetSuiteOptions()


def build(options: SandboxOptions | None = None) -> ASGIApp:
    """The sandbox with all vendors."""
    chosen = options or SandboxOptions()
    makers: Mapping[str, Callable[[], Simulator]] = {
        "salesforce": lambda: salesforce(
            clients=(
                replace(CONNECTOR_CLIENT, **chosen.salesforce.connector.model_dump()),
                LOADER_CLIENT,
            )
        ),
        "kantata": lambda: kantata(token=chosen.kantata.token),
        "netsuite": lambda: netsuite(
            certificates={
                number: Certificate(**facts.model_dump()) for number, facts in chosen.netsuite.certificates.items()
            }
        ),
    }
    return sandbox_app({vendor: make() for vendor, make in makers.items()})


def read_options(file: Path) -> SandboxOptions:
    """The options file. Raises SandboxMisconfigured naming the key."""
    try:
        return SandboxOptions.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SandboxMisconfigured(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        found: list[Any] = error.errors(include_url=False, include_input=False)
        listed = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in found)
        raise SandboxMisconfigured(f"{file}: {listed}") from None
