"""NetSuite as an installation takes it in: an integration with certificate and access token, signed change notices."""

from __future__ import annotations

import secrets
from typing import ClassVar

import httpx

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.firm import ErpFirm
from deploy.sandbox.kit.vendor import Kept, Role, SandboxVendor
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.signatures import AccessToken, new_token
from deploy.sandbox.netsuite.simulator import simulator
from deploy.sandbox.netsuite.tokens import Certificate, MachineCredentials, new_credentials

AT_ONCE = 12


class NetSuite(SandboxVendor):
    """The ERP of the sandbox."""

    name: ClassVar[str] = "netsuite"
    plays: ClassVar[tuple[Role, ...]] = ("erp",)
    pushes: ClassVar[bool] = True

    def generate(self) -> dict[str, str]:
        """A key pair with its certificate id and integration, an access token, the secret that signs change notices."""
        made, token = new_credentials(secrets.token_hex(32)), new_token()
        return {
            "client_id": made.client_id,
            "certificate_id": made.certificate_id,
            "private_key": made.private_key,
            "public_key": made.certificate.public_key,
            "consumer_key": token.consumer_key,
            "consumer_secret": token.consumer_secret,
            "token_id": token.token_id,
            "token_secret": token.token_secret,
            "webhook_secret": secrets.token_urlsafe(32),
        }

    def simulator(self, kept: Kept) -> Simulator:
        """An empty account that trusts the certificate and the access token."""
        token = AccessToken(kept["consumer_key"], kept["consumer_secret"], kept["token_id"], kept["token_secret"])
        return simulator(certificates={kept["certificate_id"]: _certificate(kept)}, access_tokens=[token])

    def settings(self, base_url: str, kept: Kept) -> dict[str, str]:
        """Where it is, who we are, and how many requests its licence allows us."""
        return {
            "base_url": base_url,
            "client_id": kept["client_id"],
            "certificate_id": kept["certificate_id"],
            "at_once": str(AT_ONCE),
        }

    def secrets(self, kept: Kept) -> dict[str, str]:
        """The private key, and the secret of change notices."""
        return {"private_key": kept["private_key"], "webhook_secret": kept["webhook_secret"]}

    def erp(self, base_url: str, http: httpx.AsyncClient, kept: Kept) -> ErpFirm:
        """The firm's people, whose programs use the same integration."""
        credentials = MachineCredentials(
            kept["client_id"], kept["certificate_id"], kept["private_key"], _certificate(kept)
        )
        return NetSuiteFirm(base_url, http, credentials)


def _certificate(kept: Kept) -> Certificate:
    return Certificate(kept["client_id"], kept["public_key"])


VENDOR = NetSuite()
