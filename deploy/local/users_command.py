"""`throughline users …`: people of an installation added, ended, unlocked; passwords come from a prompt or stdin."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.failures import JobFailed
from deploy.local.places import Places
from deploy.local.ports import HOST
from deploy.local.postgres import ROLE
from deploy.local.secrets_file import SECRETS_FILE

DATABASE_VARIABLE = "THROUGHLINE_EXPERIENCE_DATABASE_URL"
StateDir = Annotated[
    Path | None, typer.Option(help="State folder of an installation that runs (default .throughline).")
]
Name = Annotated[str, typer.Argument(help="Login name.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

users_app = typer.Typer(no_args_is_help=True, help="People who log in.")
out = Console(soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Office:
    people: Any
    keeper: Any
    failures: Any
    sessions: Any
    withdrawals: Any
    audit: Any
    book: Any


@users_app.command("list")
def list_people(state: StateDir = None, as_json: JsonFlag = False) -> None:  # noqa: FBT002 - a flag of the command line
    """Everybody, with roles and whether the account is open."""

    async def work(office: _Office) -> Any:
        return await office.people.list_of(None)

    people = _done(state, work)
    if as_json:
        told = [
            {
                "name": one.name,
                "subject": one.subject,
                "tenant": one.tenant,
                "full_name": one.full_name,
                "roles": sorted(one.roles),
                "customers": None if one.customers is None else sorted(one.customers),
                "is_enabled": one.is_enabled,
            }
            for one in people
        ]
        typer.echo(json.dumps({"people": told}, indent=2))
        return
    table = Table("name", "person", "tenant", "roles", "account", box=None)
    for one in people:
        table.add_row(one.name, one.full_name, one.tenant, ", ".join(sorted(one.roles)), _account(one))
    out.print(table)


@users_app.command()
def add(  # noqa: PLR0917 - options of the command line
    name: Name,
    full_name: Annotated[str, typer.Option(help="As pages and portals show it.")],
    role: Annotated[list[str], typer.Option(help="May be given several times.")],
    tenant: Annotated[str, typer.Option()] = "harbour",
    subject: Annotated[str | None, typer.Option(help="Who tokens and approvals speak of (default: the name).")] = None,
    customer: Annotated[
        list[str] | None, typer.Option(help="Only this customer's records exist for the person.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="en or de")] = None,
    state: StateDir = None,
) -> None:
    """Add a person; the password, read from the prompt or stdin, must be changed at the first login."""
    from experience_apis.identity.people.records import Person  # noqa: PLC0415 - loads the tier's code; other commands need not wait
    from experience_apis.identity.people.seeds import PersonSeed  # noqa: PLC0415

    async def work(office: _Office) -> None:
        password = _password(name)
        told = {
            "name": name,
            "full_name": full_name,
            "tenant": tenant,
            "subject": subject,
            "roles": role,
            "customers": customer or None,
            "language": language,
            "password": password,
        }
        try:
            seed = PersonSeed.model_validate(told)
        except ValueError as error:
            raise JobFailed(_reasons(error)) from None
        if strangers := sorted(seed.roles - office.book.roles.keys()):
            raise JobFailed(f"no such role: {', '.join(strangers)}")
        person = Person(
            name=seed.name,
            subject=seed.subject or seed.name,
            tenant=seed.tenant,
            full_name=seed.full_name,
            roles=seed.roles,
            customers=seed.customers,
            language=seed.language,
            must_change_password=True,
            password_hash=await office.keeper.hashed(password),
        )
        if not await office.people.add(person):
            raise JobFailed(f"the name {name}, or the subject {person.subject} in {tenant}, is taken")
        office.audit({"event": "person_added", "person": name, "tenant": tenant, "roles": sorted(seed.roles)})

    _done(state, work)
    out.print(f"added: {name}", highlight=False)


@users_app.command()
def disable(name: Name, state: StateDir = None) -> None:
    """Close the account: sessions and tokens end in every tier within seconds."""
    _done(state, lambda office: _switched(office, name, is_enabled=False))
    out.print(f"disabled: {name}", highlight=False)


@users_app.command()
def enable(name: Name, state: StateDir = None) -> None:
    """Open the account again."""
    _done(state, lambda office: _switched(office, name, is_enabled=True))
    out.print(f"enabled: {name}", highlight=False)


@users_app.command("set-password")
def set_password(name: Name, state: StateDir = None) -> None:
    """A new password, read from the prompt or stdin, to be changed at the next login; all sessions end."""

    async def work(office: _Office) -> None:
        person = await _known(office, name)
        password = _password(person.name)
        await office.people.set_password(person.name, await office.keeper.hashed(password), must_change=True)
        office.audit({"event": "password_changed", "person": person.name, "tenant": person.tenant, "by": "command"})
        await office.sessions.end_all(person, "password_set_by_administrator")
        await office.failures.forget("account", person.name)

    _done(state, work)
    out.print(f"password set: {name}", highlight=False)


@users_app.command()
def unlock(name: Name, state: StateDir = None) -> None:
    """Let an account that is locked by failed logins try again at once."""

    async def work(office: _Office) -> None:
        person = await _known(office, name)
        await office.failures.forget("account", person.name)
        office.audit({"event": "account_unlocked", "person": person.name, "tenant": person.tenant})

    _done(state, work)
    out.print(f"unlocked: {name}", highlight=False)


async def enrol(places: Places) -> None:
    """Make the installation's people those of its users file, as its next start would. Raises JobFailed."""
    from experience_apis.identity.people.seeds import enrol_people  # noqa: PLC0415 - loads the tier's code

    async def work(office: _Office) -> None:
        await enrol_people(places.users_file, people=office.people, keeper=office.keeper, book=office.book)

    await _in_office(_database_url(places.root), work)


async def _switched(office: _Office, name: str, *, is_enabled: bool) -> None:
    person = await _known(office, name)
    await office.people.set_enabled(person.name, is_enabled=is_enabled)
    if not is_enabled:
        await office.sessions.end_all(person, "account_disabled")
        await office.withdrawals.withdraw("subject", person.subject, tenant=person.tenant, reason="account disabled")
    event = "person_enabled" if is_enabled else "person_disabled"
    office.audit({"event": event, "person": person.name, "tenant": person.tenant})


async def _known(office: _Office, name: str) -> Any:
    person = await office.people.find(name)
    if person is None:
        raise JobFailed(f"there is nobody called {name}")
    return person


def _done(state: Path | None, work: Callable[[_Office], Awaitable[Any]]) -> Any:
    return asyncio.run(_in_office(_database_url(state), work))


async def _in_office(url: str, work: Callable[[_Office], Awaitable[Any]]) -> Any:
    from experience_apis.identity.people.passwords import PasswordKeeper  # noqa: PLC0415 - loads the tier's code
    from experience_apis.identity.people.session_store import SessionStore  # noqa: PLC0415
    from experience_apis.identity.people.sessions import SessionLimits, Sessions  # noqa: PLC0415
    from experience_apis.identity.people.store import FailureStore, PeopleStore  # noqa: PLC0415
    from experience_apis.identity.revocation_store import Revocations  # noqa: PLC0415
    from experience_apis.identity.roles import role_book  # noqa: PLC0415
    from shared.errors.taxonomy import PlatformError  # noqa: PLC0415
    from shared.gateway.policies.audit.trail import AuditTrail  # noqa: PLC0415
    from shared.persistence import Database, upgrade  # noqa: PLC0415
    from shared.serving.lines import LineLog  # noqa: PLC0415
    from shared.telemetry import configure_logging  # noqa: PLC0415

    configure_logging("experience", "WARNING")
    lines = LineLog("experience", "audit")
    audit, database = AuditTrail(lines), Database(url, application="throughline-users")
    withdrawals = Revocations(database)
    try:
        await asyncio.to_thread(upgrade, url, "experience_apis")
        return await work(
            _Office(
                people=PeopleStore(database),
                keeper=PasswordKeeper(),
                failures=FailureStore(database),
                sessions=Sessions(SessionStore(database), withdrawals, audit, limits=SessionLimits()),
                withdrawals=withdrawals,
                audit=audit,
                book=role_book(),
            )
        )
    except PlatformError as error:
        raise JobFailed(error.message) from error
    finally:
        lines.flush()
        await database.aclose()


def _database_url(state: Path | None) -> str:
    if state is None and (told := os.environ.get(DATABASE_VARIABLE)):
        return told
    places = Places(state.resolve()) if state else Places.default()
    try:
        ports = json.loads(places.run_file.read_text(encoding="utf-8"))["ports"]
        password = json.loads((places.keys / SECRETS_FILE).read_text(encoding="utf-8"))["postgres_password"]
    except (OSError, ValueError, LookupError):
        raise JobFailed(f"{places.root} holds no installation; start one, or set {DATABASE_VARIABLE}") from None
    return f"postgresql://{ROLE}:{password}@{HOST}:{ports['postgres']}/throughline_experience"


def _password(name: str) -> str:
    from experience_apis.identity.people.passwords import password_fault  # noqa: PLC0415 - loads the tier's code

    if sys.stdin.isatty():
        text = str(typer.prompt(f"New password of {name}", hide_input=True, confirmation_prompt=True))
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if (fault := password_fault(text, name=name)) is not None:
        raise JobFailed(f"this password is not taken: {fault.replace('_', ' ')}")
    return text


def _reasons(error: ValueError) -> str:
    found = getattr(error, "errors", None)
    if found is None:
        return str(error)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'person'}: {one['msg']}" for one in found())


def _account(person: Any) -> str:
    if not person.is_enabled:
        return "closed"
    return "new password due" if person.must_change_password else "open"
