"""Microsoft's own client for Dataverse works unmodified against the simulator, over TLS as it demands."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from time import sleep
from uuid import uuid4

import pytest
import requests
import uvicorn
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError

from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.simulator import LOADER_APP, TENANT
from deploy.sandbox.kit.control import Simulator, sandbox_app
from tests.conformance.served import free_port
from tests.conformance.small_firm import tables


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate of the loopback address, in files."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


class Credential:
    """A token of the loader's app, fetched from the simulator's Entra as any client would."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        del options
        form = {
            "grant_type": "client_credentials",
            "client_id": LOADER_APP.client_id,
            "client_secret": LOADER_APP.secret,
            "scope": scopes[0],
        }
        answer = requests.post(f"{self._base_url}/{TENANT}/oauth2/v2.0/token", data=form, timeout=10)
        answer.raise_for_status()
        told = answer.json()
        return AccessToken(told["access_token"], int(datetime.now(UTC).timestamp()) + told["expires_in"])


class CuttingServer(uvicorn.Server):
    """Cuts connections at its end, since a client that is gone answers no TLS farewell."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # type: ignore[union-attr] # every protocol of uvicorn has a transport
        await super().shutdown(sockets)


@dataclass(frozen=True, slots=True)
class Stage:
    """A simulator behind TLS and Microsoft's client in front of it."""

    made: Simulator
    client: DataverseClient


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    key, signed = certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(signed))
    made, port = simulator(), free_port()
    config = uvicorn.Config(
        sandbox_app({"dynamics_sales": made}),
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="error",
        ssl_keyfile=str(key),
        ssl_certfile=str(signed),
        timeout_graceful_shutdown=2,
    )
    server = CuttingServer(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        sleep(0.005)
    base_url = f"https://127.0.0.1:{port}/dynamics_sales"
    with DataverseClient(base_url, Credential(base_url)) as client:
        yield Stage(made, client)
    server.should_exit = True
    thread.join(10)


def test_rows_are_made_read_changed_and_deleted(stage: Stage) -> None:
    records = stage.client.records
    row_id = records.create("account", {"name": "Harbour", "thl_porequired": True, "revenue": 1200.5})
    row = records.retrieve("account", row_id, select=["name", "revenue"], include_annotations="*")
    assert row is not None
    assert (row["name"], row["revenue"]) == ("Harbour", 1200.5)
    assert row["revenue@OData.Community.Display.V1.FormattedValue"] == "$1,200.50"
    records.update("account", row_id, {"name": "Haven"})
    found = records.list("account", filter="name eq 'Haven'", select=["name"])
    assert [one["name"] for one in found] == ["Haven"]
    records.delete("account", row_id)
    assert records.retrieve("account", row_id, select=["name"]) is None


def test_an_update_never_makes_a_row(stage: Stage) -> None:
    with pytest.raises(HttpError) as caught:
        stage.client.records.update("account", str(uuid4()), {"name": "Nobody"})
    assert caught.value.status_code == 404
    assert stage.made.counts()["account"] == 0


def test_options_may_be_named_by_their_label(stage: Stage) -> None:
    """The client asks the metadata which number the label stands for."""
    row_id = stage.client.records.create("account", {"name": "x", "industrycode": "retail"})
    row = stage.client.records.retrieve("account", row_id, select=["industrycode"])
    assert row is not None
    assert row["industrycode"] == 727000003


def test_pages_are_followed_to_their_end(stage: Stage) -> None:
    names = [account["name"] for account in tables(deals=12)["accounts"]]
    ids = stage.client.records.create("account", [{"name": name} for name in names])
    assert len(set(ids)) == 12
    pages = list(stage.client.records.list_pages("account", select=["name"], orderby=["name asc"], page_size=5))
    assert [len(list(page)) for page in pages] == [5, 5, 2]
    found = stage.client.records.list("account", select=["name"], orderby=["name asc"], page_size=5)
    assert [row["name"] for row in found] == sorted(names)
    top = stage.client.records.list("account", select=["name"], orderby=["name desc"], top=2)
    assert [row["name"] for row in top] == sorted(names)[:-3:-1]


def test_rows_are_upserted_by_their_alternate_key(stage: Stage) -> None:
    def item(number: str, name: str) -> dict[str, dict[str, str]]:
        return {"alternate_key": {"accountnumber": number}, "record": {"name": name}}

    records = stage.client.records
    records.upsert("account", [item("A1", "one")])
    records.upsert("account", [item("A1", "uno"), item("A2", "due")])
    found = records.list("account", select=["accountnumber", "name"], orderby=["accountnumber"])
    assert [(row["accountnumber"], row["name"]) for row in found] == [("A1", "uno"), ("A2", "due")]


def test_a_batch_with_a_change_set_is_understood_both_ways(stage: Stage) -> None:
    request = stage.client.batch.new()
    with request.changeset() as changes:
        account = changes.records.create("account", {"name": "Above"})
        changes.records.create("account", {"name": "Below", "parentaccountid@odata.bind": account})
    result = request.execute()
    assert not result.failed
    rows = stage.client.records.list("account", select=["name"], expand=["parentaccountid"], orderby=["name"])
    assert [(row["name"], (row["parentaccountid"] or {}).get("name")) for row in rows] == [
        ("Above", None),
        ("Below", "Above"),
    ]
    broken = stage.client.batch.new()
    with broken.changeset() as changes:
        changes.records.create("account", {"name": "Fine"})
        changes.records.create("account", {"name": "x" * 161})
    assert broken.execute(continue_on_error=True).failed
    assert stage.made.counts()["account"] == 2


def test_tables_columns_and_keys_are_described(stage: Stage) -> None:
    tables_of = stage.client.tables
    info = tables_of.get("thl_Contract")
    assert info is not None
    assert info["entity_set_name"] == "thl_contracts"
    columns = {column["LogicalName"]: column for column in tables_of.list_columns("opportunity")}
    assert columns["estimatedvalue"]["AttributeType"] == "Money"
    [key] = tables_of.get_alternate_keys("thl_invoicestatus")
    assert list(key.key_attributes) == ["thl_invoiceid"]


def test_a_refusal_is_read_with_code_and_wait(stage: Stage) -> None:
    stage.client.records.create("account", {"name": "x"})
    assert stage.made.configure
    stage.made.configure({"limit_requests": 1})
    with pytest.raises(HttpError) as caught:
        stage.client.records.list("account", select=["name"])
    assert caught.value.status_code == 429
    assert caught.value.details["retry_after"] == 1
    assert caught.value.details["service_error_code"] == "0x80072322"
