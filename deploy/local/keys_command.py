"""`throughline keys`: list, rotate and revoke the issuer's signing keys while everything goes on running."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from deploy.local.failures import JobFailed
from deploy.local.places import Places
from deploy.local.ports import HOST
from deploy.local.postgres import ROLE
from deploy.local.secrets_file import SECRETS_FILE
from shared.identity.revocations import Withdrawn

if TYPE_CHECKING:
    from experience_apis.identity.keys import KeyFacts, KeyRing
    from experience_apis.identity.revocation_store import Revocations

_PREFIX = "THROUGHLINE_EXPERIENCE_"
_EFFECTIVE = "within ten seconds in every tier"
StateDir = Annotated[Path | None, typer.Option(help="The installation (default .throughline).")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help=__doc__)


@app.command("list")
def list_keys(state: StateDir = None, as_json: JsonFlag = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Which keys there are: announced, signing, verifying, retired."""

    async def listed(ring: KeyRing, _revocations: Revocations) -> list[KeyFacts]:
        return await ring.listed()

    _show(asyncio.run(_with_ring(state, listed)), as_json=as_json)


@app.command()
def rotate(state: StateDir = None, as_json: JsonFlag = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Announce a new key; it signs a quarter of an hour later, and the old one verifies two hours more."""

    async def rotated(ring: KeyRing, _revocations: Revocations) -> list[KeyFacts]:
        await ring.rotate()
        return await ring.listed()

    _show(asyncio.run(_with_ring(state, rotated)), as_json=as_json)


@app.command()
def revoke(
    kid: Annotated[str, typer.Argument(help="Id of the key, as `throughline keys list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the key.")] = "compromised",
    state: StateDir = None,
    as_json: JsonFlag = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Stop trusting a key at once: every token it signed ends, and a new key signs from now on."""

    async def revoked(ring: KeyRing, revocations: Revocations) -> list[KeyFacts]:
        if not await ring.revoke(kid, reason=reason):
            raise JobFailed(f"there is no key {kid} that counts; `throughline keys list` shows them")
        await revocations.withdraw(Withdrawn.KEY, kid, reason=reason)
        return await ring.listed()

    _show(asyncio.run(_with_ring(state, revoked)), as_json=as_json)
    if not as_json:
        typer.echo(f"Tokens signed by {kid} are refused {_EFFECTIVE}.")


async def _with_ring(state: Path | None, work: Callable[[KeyRing, Revocations], Awaitable[T]]) -> T:
    from experience_apis.identity.keys import KeyRing, Seal  # noqa: PLC0415 - other commands need not wait for the tier
    from experience_apis.identity.revocation_store import Revocations  # noqa: PLC0415 - likewise
    from experience_apis.identity.store import IdentityStore  # noqa: PLC0415 - likewise
    from shared.persistence import Database  # noqa: PLC0415 - likewise
    from shared.telemetry import configure_logging  # noqa: PLC0415 - likewise

    configure_logging("keys", "ERROR")
    url, sealing = _whereabouts(state)
    database = Database(url, pool=2, application="throughline-keys")
    try:
        ring = KeyRing(IdentityStore(database), Seal(sealing))
        await ring.open()
        return await work(ring, Revocations(database))
    finally:
        await database.aclose()


def _whereabouts(state: Path | None) -> tuple[str, str]:
    """Database and sealing secret: as the experience tier's environment says, else of a local installation."""
    from experience_apis.identity.keys import sealing_secret  # noqa: PLC0415 - other commands need not wait for the tier

    if state is None and (url := os.environ.get(f"{_PREFIX}DATABASE_URL")):
        file = Path(os.environ.get(f"{_PREFIX}SEALING_KEY_FILE", ".throughline/sealing.key"))
        return url, sealing_secret(os.environ.get(f"{_PREFIX}SEALING_KEY"), file)
    places = Places(state.resolve()) if state else Places.default()
    try:
        run: dict[str, Any] = json.loads(places.run_file.read_text("utf-8"))
        kept: dict[str, Any] = json.loads((places.keys / SECRETS_FILE).read_text("utf-8"))
    except OSError as error:
        raise JobFailed(f"nothing was ever started in {places.root}; `throughline up` does") from error
    port = run["ports"]["postgres"]
    return f"postgresql://{ROLE}:{kept['postgres_password']}@{HOST}:{port}/throughline_experience", kept["sealing_key"]


def _show(keys: list[KeyFacts], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"kid": key.kid, "state": key.state, "signs_from": _at(key.signs_from), "retires_at": _at(key.retires_at)}
            for key in keys
        ]
        typer.echo(json.dumps({"keys": rows}, indent=2))
        return
    for key in keys:
        end = f", retires {_at(key.retires_at)}" if key.retires_at else ""
        typer.echo(f"{key.kid}  {key.state:<9}  signs from {_at(key.signs_from)}{end}")


def _at(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds")
