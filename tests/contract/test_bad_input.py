"""Bad input at the three tiers as they run: every refusal is one problem document that names field and reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from pydantic import ValidationError

from experience_apis.app import create_app as create_experience
from experience_apis.settings import ExperienceSettings
from process_apis.app import create_app as create_process
from process_apis.settings import ProcessSettings
from shared.canonical.time import TimeEntry
from shared.serving.app import TierApp
from system_apis.app import create_app as create_system
from system_apis.catalog import Catalog
from system_apis.settings import SystemSettings
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.unit.gateway.door import GATEWAY_DIR, ISSUER, Issuer
from tests.unit.process.conftest import TENANTS
from tests.unit.process.fake_systems import FakeSystems

Json = dict[str, Any]
MEMBERS = {"type", "title", "status", "detail", "code", "instance", "correlation_id", "errors"}
# One guarded operation with a body at each tier, its scopes, and a body that fits.
DOORS: dict[str, tuple[str, str, str, Json]] = {
    "system": ("PUT", "/crm/v1/opportunities/opp_1/delivery-status", "crm.write", {"stage": "activated"}),
    "process": ("POST", "/quote-to-project/v1/runs", "deals.write", {"opportunity_id": "opp_1"}),
    "experience": ("POST", "/finance/v1/billing-runs", "billing.run", {"through": "2026-10"}),
}
TIERS = tuple(DOORS)


@dataclass
class Tier:
    """A running tier and how to knock."""

    name: str
    app: TierApp
    client: httpx.AsyncClient
    issuer: Issuer

    def token(self, **claims: Any) -> str:
        every = {scope for one in self.app.documents.operations() for scope in (*one.scopes, *one.one_of)}
        given: Json = {"iss": ISSUER, "aud": [f"throughline-{self.name}"], "scope": " ".join(sorted(every))}
        merged: Json = {**given, "plan": "internal", **claims}
        return self.issuer.token(**merged)

    async def ask(
        self, method: str, path: str, *, token: str | None = "", headers: Json | None = None, **options: Any
    ) -> httpx.Response:
        """Knock with every scope and a fresh idempotency key, unless told otherwise (None leaves a header out)."""
        sent: Json = {"idempotency-key": uuid4().hex, "authorization": f"Bearer {token or self.token()}"}
        if token is None:
            sent["authorization"] = None
        sent |= headers or {}
        return await self.client.request(
            method, path, headers={name: value for name, value in sent.items() if value is not None}, **options
        )

    async def knock(self, **options: Any) -> httpx.Response:
        """Knock at the tier's sample operation."""
        method, path, _, body = DOORS[self.name]
        if "content" not in options:
            options.setdefault("json", body)
        return await self.ask(method, path, **options)


def problem(answer: httpx.Response, status: int, code: str, field: str | None = None) -> Json:
    """The document, after looking at everything every problem has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: Json = answer.json()
    assert set(told) >= MEMBERS
    assert (told["status"], told["code"]) == (status, code)
    assert told["title"]
    assert told["type"]
    assert told["detail"]
    assert told["correlation_id"] == answer.headers["x-correlation-id"]
    assert all(finding["field"] and finding["reason"] for finding in told["errors"])
    if field is not None:
        assert field in [finding["field"] for finding in told["errors"]], told["errors"]
    return told


def _common(tier: str, database_url: str) -> Json:
    return {
        "port": 0,
        "audience": f"throughline-{tier}",
        "database_url": database_url,
        "issuer_url": ISSUER,
        "gateway_dir": GATEWAY_DIR,
    }


def _system(database_url: str, folder: Path, issuer: Issuer) -> TierApp:
    settings = SystemSettings.model_validate(_common("system", database_url) | {"tenants_dir": folder})
    return create_system(settings, catalog=Catalog({}), keys=issuer.keys)


def _process(database_url: str, _folder: Path, issuer: Issuer) -> TierApp:
    told = {"system_url": "http://127.0.0.1:9", "tenants_dir": TENANTS}
    settings = ProcessSettings.model_validate(_common("process", database_url) | told)
    systems = FakeSystems()
    systems.add_deal()
    systems.add_deal("2")
    return create_process(settings, systems=systems, keys=issuer.keys)


def _experience(database_url: str, folder: Path, _issuer: Issuer) -> TierApp:
    clients = folder / "clients.yaml"
    clients.write_text(yaml.safe_dump({"clients": []}), encoding="utf-8")
    told = {
        "process_url": "http://127.0.0.1:9",
        "clients_file": clients,
        "sealing_key": "not a secret: nothing is kept",
    }
    return create_experience(ExperienceSettings.model_validate(_common("experience", database_url) | told))


MAKERS: dict[str, Callable[[str, Path, Issuer], TierApp]] = {
    "system": _system,
    "process": _process,
    "experience": _experience,
}


@asynccontextmanager
async def running(name: str, database_url: str, folder: Path, issuer: Issuer) -> AsyncGenerator[Tier]:
    async with AsyncExitStack() as stack:
        app = MAKERS[name](database_url, folder, issuer)
        await stack.enter_async_context(app.router.lifespan_context(app))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tier.test")
        yield Tier(name, app, await stack.enter_async_context(client), issuer)


@pytest.fixture(params=TIERS)
async def open_tier(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path, issuer: Issuer
) -> AsyncIterator[Tier]:
    """One running tier after the other."""
    async with running(request.param, postgres_url, tmp_path, issuer) as tier:
        yield tier


@pytest.fixture
async def system(postgres_url: str, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Tier]:
    async with running("system", postgres_url, tmp_path, issuer) as tier:
        yield tier


@pytest.fixture
async def process(postgres_url: str, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Tier]:
    async with running("process", postgres_url, tmp_path, issuer) as tier:
        yield tier


@pytest.fixture
async def experience(postgres_url: str, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Tier]:
    async with running("experience", postgres_url, tmp_path, issuer) as tier:
        yield tier


async def test_what_cannot_be_read_at_all_is_malformed(open_tier: Tier) -> None:
    for body in (b"{", b'{"a": }', b"\xff\xfe", b"nothing", b'{"a": NaN,'):
        answer = await open_tier.knock(content=body, headers={"content-type": "application/json"})
        problem(answer, 400, "malformed_request", "body")
    problem(await open_tier.knock(content=b'{"a": "\\u0000"}'), 400, "malformed_request", "body")


async def test_a_body_that_is_no_object_or_missing_is_told_as_such(open_tier: Tier) -> None:
    for body in (b"[]", b"7", b'"text"', b"null"):
        problem(await open_tier.knock(content=body), 422, "invalid_request", "body")
    problem(await open_tier.knock(content=b""), 422, "invalid_request", "body")


async def test_fields_nobody_knows_are_named(open_tier: Tier) -> None:
    _, _, _, body = DOORS[open_tier.name]
    answer = await open_tier.knock(json=body | {"no_such_field": 1})
    problem(answer, 422, "invalid_request", "body.no_such_field")


async def test_an_oversized_body_is_refused_with_the_limit(open_tier: Tier) -> None:
    told = problem(await open_tier.knock(content=b"x" * 1_100_000), 413, "body_too_large")
    assert told["max_bytes"] == 1_048_576


async def test_another_media_type_is_refused_with_the_spoken_one(open_tier: Tier) -> None:
    for kind in ("text/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await open_tier.knock(content=b"<a/>", headers={"content-type": kind})
        assert "application/json" in problem(answer, 415, "unsupported_content")["detail"]


async def test_a_token_that_does_not_count_is_refused(open_tier: Tier) -> None:
    now = int(time())
    bad: dict[str, str | None] = {
        "missing": None,
        "expired": open_tier.token(iat=now - 900, exp=now - 600),
        "not valid yet": open_tier.token(nbf=now + 600),
        "issued in the future": open_tier.token(iat=now + 600, exp=now + 900),
        "foreign audience": open_tier.token(aud=["throughline-elsewhere"]),
        "foreign issuer": open_tier.token(iss="http://elsewhere.test"),
        "foreign key": Issuer().token(iss=ISSUER, aud=[f"throughline-{open_tier.name}"]),
        "of no tenant": open_tier.token(tenant=None),
        "an identity token": open_tier.issuer.token(header={"typ": "JWT"}),
        "no token": "nonsense",
    }
    for what, token in bad.items():
        answer = await open_tier.knock(token=token)
        told = problem(answer, 401, "not_authenticated", "header.authorization")
        assert answer.headers["www-authenticate"].startswith("Bearer"), what
        assert told["errors"], what
    basic = await open_tier.knock(headers={"authorization": "Basic YTpi"})
    problem(basic, 401, "not_authenticated", "header.authorization")


async def test_a_wrong_scope_is_refused_naming_the_missing_one(open_tier: Tier) -> None:
    _, _, scope, _ = DOORS[open_tier.name]
    told = problem(await open_tier.knock(token=open_tier.token(scope="something.else")), 403, "not_permitted")
    assert told["missing_scopes"] == [scope]
    assert scope in told["detail"]


async def test_an_unknown_version_is_answered_with_the_known_ones(open_tier: Tier) -> None:
    method, path, _, body = DOORS[open_tier.name]
    for version in ("v0", "v2", "v99"):
        answer = await open_tier.ask(method, path.replace("/v1/", f"/{version}/"), json=body)
        told = problem(answer, 404, "unknown_version")
        assert told["known_versions"] == ["v1"]
        assert version in told["detail"]


async def test_path_and_query_parameters_are_checked(open_tier: Tier) -> None:
    paths = {
        "system": "/crm/v1/opportunities",
        "process": "/approvals/v1/approvals",
        "experience": "/pmo/v1/approvals",
    }
    for limit in ("0", "many", "100000000"):
        answer = await open_tier.ask("GET", paths[open_tier.name], params={"limit": limit})
        problem(answer, 422, "invalid_request", "query.limit")
    answer = await open_tier.ask("GET", f"{paths[open_tier.name]}/{'x' * 400}")
    assert problem(answer, 422, "invalid_request")["errors"][0]["field"].startswith("path.")


MARK: Json = {
    "invoice_id": "inv_1",
    "invoice_ref": "7",
    "project_id": "prj_1",
    "invoice_on": "2026-10-31",
    "time_entry_refs": ["1"],
}
STATUS: Json = {
    "invoice_ref": "7",
    "period": "2026-10",
    "stage": "posted",
    "gross": {"amount": "119.00", "currency": "EUR"},
    "paid": {"amount": "0.00", "currency": "EUR"},
}
SYSTEM_BODIES: dict[str, Json] = {
    "/psa/v1/projects/prj_acme": plan().model_dump(mode="json"),
    "/erp/v1/projects/prj_acme": plan().model_dump(mode="json"),
    "/erp/v1/contracts/con_acme": contract().model_dump(mode="json"),
    "/erp/v1/billing-schedules/bs-con_acme": schedule().model_dump(mode="json"),
    "/erp/v1/invoices/inv_acme": draft().model_dump(mode="json"),
    "/erp/v1/customers/cus_acme": {"customer": customer().model_dump(mode="json"), "legal_entity_code": "HC-DE"},
    "/psa/v1/billing-marks/inv_1": MARK,
    "/crm/v1/opportunities/opp_1/invoices/inv_1": STATUS,
}
# path of the operation, field, what is put there (...: the field is left out)
SYSTEM_CASES: list[tuple[str, str, Any]] = [
    ("/psa/v1/projects/prj_acme", "budget.currency", "EURO"),
    ("/psa/v1/projects/prj_acme", "budget.currency", "XXX"),
    ("/psa/v1/projects/prj_acme", "budget.amount", "12.345"),
    ("/psa/v1/projects/prj_acme", "budget.amount", "a lot"),
    ("/psa/v1/projects/prj_acme", "budget.amount", "NaN"),
    ("/psa/v1/projects/prj_acme", "workstreams", []),
    ("/psa/v1/projects/prj_acme", "workstreams.0.budget.currency", "eur"),
    ("/psa/v1/projects/prj_acme", "workstreams.0.billing_model", "by_feeling"),
    ("/psa/v1/projects/prj_acme", "start_on", "soon"),
    ("/psa/v1/projects/prj_acme", "id", "prj_other"),
    ("/erp/v1/projects/prj_acme", "customer_id", "no such id!"),
    ("/erp/v1/projects/prj_acme", "name", ""),
    ("/erp/v1/contracts/con_acme", "currency", "EURO"),
    ("/erp/v1/contracts/con_acme", "payment_terms_days", -1),
    ("/erp/v1/contracts/con_acme", "payment_terms_days", "thirty"),
    ("/erp/v1/contracts/con_acme", "lines.0.amount.currency", "EURO"),
    ("/erp/v1/contracts/con_acme", "lines.0.amount", 12),
    ("/erp/v1/contracts/con_acme", "starts_on", "2026-02-30"),
    ("/erp/v1/billing-schedules/bs-con_acme", "entries.0.amount.currency", "EURO"),
    ("/erp/v1/billing-schedules/bs-con_acme", "entries.0.due_on", None),
    ("/erp/v1/billing-schedules/bs-con_acme", "id", "bs-other"),
    ("/erp/v1/invoices/inv_acme", "currency", "EURO"),
    ("/erp/v1/invoices/inv_acme", "net.currency", "QQQ"),
    ("/erp/v1/invoices/inv_acme", "period", "2026-13"),
    ("/erp/v1/invoices/inv_acme", "lines.0.kind", "gift"),
    ("/erp/v1/invoices/inv_acme", "lines.0.quantity", "three"),
    ("/erp/v1/invoices/inv_acme", "lines", ...),
    ("/erp/v1/customers/cus_acme", "customer.bill_to.country", "Germany"),
    ("/erp/v1/customers/cus_acme", "customer.name", "a\nb"),
    ("/erp/v1/customers/cus_acme", "customer.tenant", "islands"),
    ("/erp/v1/customers/cus_acme", "legal_entity_code", ...),
    ("/psa/v1/billing-marks/inv_1", "time_entry_refs", "1"),
    ("/psa/v1/billing-marks/inv_1", "time_entry_refs.0", 1),
    ("/psa/v1/billing-marks/inv_1", "invoice_on", "yesterday"),
    ("/psa/v1/billing-marks/inv_1", "hours", -1),
    ("/crm/v1/opportunities/opp_1/invoices/inv_1", "gross.currency", "EURO"),
    ("/crm/v1/opportunities/opp_1/invoices/inv_1", "stage", "lost"),
    ("/crm/v1/opportunities/opp_1/invoices/inv_1", "period", "October"),
]


async def test_wrong_values_are_refused_by_the_system_tier_naming_the_field(system: Tier) -> None:
    wrong: list[str] = []
    for path, field, value in SYSTEM_CASES:
        way = field.split(".")
        answer = await system.ask("PUT", path, json=_changed_at(SYSTEM_BODIES[path], way, value))
        told = problem(answer, 422, "invalid_request")
        named = [finding["field"] for finding in told["errors"]]
        # A sum whose parts do not fit each other is blamed on the sum.
        if f"body.{field}" not in named and not any(f"body.{field}".startswith(f"{one}.") for one in named):
            wrong.append(f"{path} {field}={value!r}: {named}")
    assert not wrong, "\n".join(wrong)


def _changed_at(body: Json, way: list[str], value: Any) -> Json:
    changed = deepcopy(body)
    into: Any = changed
    for key in way[:-1]:
        into = into[int(key) if key.isdigit() else key]
    last = int(way[-1]) if way[-1].isdigit() else way[-1]
    if value is ...:
        del into[last]
    else:
        into[last] = value
    return changed


async def test_what_fits_is_not_refused_for_its_form(system: Tier) -> None:
    """The bodies of the table are right before they are spoilt: they get as far as the tenant."""
    for path, body in SYSTEM_BODIES.items():
        problem(await system.ask("PUT", path, json=body), 403, "not_permitted")


async def test_a_tenant_nobody_serves_gets_nowhere(system: Tier) -> None:
    foreign = system.token(tenant="nowhere")
    told = problem(await system.ask("GET", "/erp/v1/rate-cards", token=foreign), 403, "not_permitted")
    assert "nowhere" in told["detail"]


PROCESS_CASES: list[tuple[str, Json, str]] = [
    ("/quote-to-project/v1/runs", {"opportunity_id": 7}, "body.opportunity_id"),
    ("/quote-to-project/v1/runs", {}, "body.opportunity_id"),
    ("/time-to-bill/v1/runs", {"through": "2026-13"}, "body.through"),
    ("/time-to-bill/v1/runs", {"contract_id": "no such id!"}, "body.contract_id"),
    ("/approvals/v1/decisions", {"decisions": [{"approval_id": "a", "decision": "perhaps"}]}, "decision"),
    ("/exceptions/v1/remedies", {"kind": "magic", "subject": "a", "value": "b"}, "body.kind"),
    ("/events/v1/replays", {"types": ["no.such.type"]}, "body.types.0"),
]


async def test_wrong_values_are_refused_by_the_process_tier_naming_the_field(process: Tier) -> None:
    for path, body, field in PROCESS_CASES:
        told = problem(await process.ask("POST", path, json=body), 422, "invalid_request")
        assert any(finding["field"].endswith(field) for finding in told["errors"]), (path, told["errors"])


EXPERIENCE_CASES: list[tuple[str, Json, str]] = [
    ("/finance/v1/billing-runs", {"through": "2026-13"}, "body.through"),
    ("/finance/v1/billing-runs", {"through": 7}, "body.through"),
    ("/finance/v1/decisions", {"decisions": [{"approval_id": "a", "decision": "perhaps"}]}, "decision"),
    ("/finance/v1/remedies", {"kind": "magic", "subject": "a", "value": "b"}, "body.kind"),
    ("/pmo/v1/decisions", {"decisions": "all"}, "body.decisions"),
]


async def test_wrong_values_are_refused_by_the_experience_tier_naming_the_field(experience: Tier) -> None:
    for path, body, field in EXPERIENCE_CASES:
        told = problem(await experience.ask("POST", path, json=body), 422, "invalid_request")
        assert any(finding["field"].endswith(field) for finding in told["errors"]), (path, told["errors"])


@pytest.mark.parametrize("name", ["process", "experience"])
async def test_a_key_is_asked_for_where_something_is_made(
    name: str, postgres_url: str, tmp_path: Path, issuer: Issuer
) -> None:
    async with running(name, postgres_url, tmp_path, issuer) as tier:
        for key in (None, "", "x" * 300, "with space", "k\u00e4y".encode()):
            answer = await tier.knock(headers={"idempotency-key": key})
            problem(answer, 400, "malformed_request", "header.idempotency-key")


async def test_a_key_used_for_another_request_is_refused(process: Tier) -> None:
    keyed = {"idempotency-key": "once"}
    first = await process.ask("POST", "/quote-to-project/v1/runs", json={"opportunity_id": "opp_1"}, headers=keyed)
    assert first.status_code == 202, first.text
    again = await process.ask("POST", "/quote-to-project/v1/runs", json={"opportunity_id": "opp_1"}, headers=keyed)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await process.ask("POST", "/quote-to-project/v1/runs", json={"opportunity_id": "opp_2"}, headers=keyed)
    problem(other, 422, "key_reused_differently", "header.idempotency-key")


async def test_a_foreign_tenant_finds_nothing(process: Tier) -> None:
    started = await process.knock()
    assert started.status_code == 202, started.text
    run = started.json()["run_id"]
    foreign = process.token(tenant="islands")
    problem(await process.ask("GET", f"/quote-to-project/v1/runs/{run}", token=foreign), 404, "not_found")


@pytest.mark.parametrize("hours", ["-1", "-0.25", "24.5", "NaN", "many"])
def test_hours_outside_a_day_are_no_hours(hours: str) -> None:
    entry = {
        "tenant": "harbour",
        "id": "tim_1",
        "source": {"system": "psa", "ref": "1", "version": "1"},
        "reference": "E1",
        "project_id": "prj_1",
        "resource_id": "res_1",
        "work_on": "2026-10-01",
        "hours": hours,
        "is_billable": True,
        "is_approved": True,
    }
    with pytest.raises(ValidationError) as refused:
        TimeEntry.model_validate(entry)
    assert [one["loc"] for one in refused.value.errors()] == [("hours",)]
