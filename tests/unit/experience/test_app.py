"""The whole experience tier on a real PostgreSQL, with a process tier of fixed answers on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest

from experience_apis.app import create_app
from experience_apis.settings import ExperienceSettings
from shared.serving.settings import load_settings

from .tier import GATEWAY, Tier, running_tier

DEAL = {
    "tenant": "harbour",
    "opportunity_id": "opp_a",
    "revision": 1,
    "run_id": "quote-to-project:harbour:opp_a:1",
    "state": "exception",
    "requested_by": "sales",
    "won_at": "2026-10-01T08:00:00Z",
    "started_at": "2026-10-01T08:00:01Z",
    "changed_at": "2026-10-01T08:00:02Z",
    "reference": "OPP-1",
    "name": "Harbour one",
    "customer_name": "Acme",
    "amount": {"amount": "1200.00", "currency": "EUR"},
    "findings": [
        {
            "code": "tax_id_missing",
            "field": "customer.tax_id",
            "reason": "none",
            "owner": "account_team",
            "remedy": "Add it.",
        }
    ],
    "approval_kinds": [],
}
APPROVAL = {
    "id": "apr-1",
    "kind": "invoice",
    "group_id": "inv-1",
    "subject_id": "opp_a",
    "run_id": "r",
    "title": "Invoice SOW-1 2026-10",
    "requested_by": "olga",
    "amount": {"amount": "100.00", "currency": "EUR"},
    "snapshot": {"lines": 2},
    "state": "open",
    "requested_at": "2026-11-01T08:00:00Z",
}


@pytest.fixture
async def tier(monkeypatch: pytest.MonkeyPatch, postgres_url: str, clients_file: Path) -> AsyncIterator[Tier]:
    async with running_tier(monkeypatch, postgres_url, clients_file) as running:
        yield running


async def test_a_token_of_the_issuer_opens_the_tier_and_reaches_the_process_tier_on_behalf_of_the_person(
    tier: Tier,
) -> None:
    keys = pyjwt.PyJWKSet.from_json((await tier.client.get("/.well-known/jwks.json")).text)
    token = await tier.token("fiona")
    metadata = (await tier.client.get("/.well-known/oauth-authorization-server")).json()
    claims = pyjwt.decode(
        token, keys.keys[0].key, algorithms=["ES256"], audience="throughline-experience", issuer=metadata["issuer"]
    )
    assert claims["sub"] == "fiona.berg"

    tier.process.says("GET /quote-to-project/v1/runs", {"items": [DEAL], "next_cursor": "c2"})
    answer = await tier.ask(
        "fiona", "GET", "/pmo/v1/board?state=exception&limit=1", headers={"X-Correlation-Id": "abc"}
    )
    assert answer.status_code == 200, answer.text
    board = answer.json()
    assert board["next_cursor"] == "c2"
    assert board["items"][0]["state_label"] == "Parked - something is missing"
    assert board["items"][0]["message"] == "One thing to be fixed before the project can start."
    heard = tier.process.heard[0]
    assert heard.query == {"status": "exception", "limit": "1"}
    assert heard.headers["x-correlation-id"] == "abc"
    assert heard.claims()["sub"] == "fiona.berg"
    assert heard.claims()["act"]["sub"] == "tier-experience"
    assert heard.claims()["aud"] == ["throughline-process"]

    german = await tier.ask("fiona", "GET", "/pmo/v1/board", headers={"Accept-Language": "fr, de-CH;q=0.8, en;q=0.5"})
    assert german.headers["content-language"] == "de"
    assert german.json()["items"][0]["message"] == "Ein Punkt ist zu klären, bevor das Projekt beginnen kann."


async def test_whoever_lacks_a_token_or_a_scope_gets_a_problem_document(tier: Tier) -> None:
    assert_problem(await tier.client.get("/pmo/v1/board"), 401, "not_authenticated")
    assert_problem(await tier.ask("partner-demo", "GET", "/pmo/v1/board"), 403, "not_permitted")
    assert_problem(await tier.ask("tier-process", "GET", "/pmo/v1/board"), 401, "not_authenticated")
    assert_problem(await tier.ask("dan", "POST", "/finance/v1/billing-runs", json={}), 403, "not_permitted")
    assert not tier.process.heard


async def test_bad_input_is_refused_naming_the_field(tier: Tier) -> None:
    refused = await tier.ask("fiona", "GET", "/pmo/v1/board?limit=0&state=lost")
    assert_problem(refused, 422, "invalid_request")
    assert {error["field"] for error in refused.json()["errors"]} == {"query.limit", "query.state"}
    key = {"Idempotency-Key": "k1"}
    refused = await tier.ask("fiona", "POST", "/finance/v1/billing-runs", json={"through": "2026-13"}, headers=key)
    assert_problem(refused, 422, "invalid_request")
    broken = await tier.ask(
        "fiona", "POST", "/finance/v1/billing-runs", content=b"{", headers={**key, "Content-Type": "application/json"}
    )
    assert broken.status_code in {400, 422}
    assert broken.headers["content-type"] == "application/problem+json"
    assert not tier.process.heard


async def test_refusals_of_the_process_tier_keep_their_code_and_words(tier: Tier) -> None:
    path = "/approvals/v1/approvals/apr-1/decision"
    tier.process.refuses(f"POST {path}", 403, "same_requester", "Whoever requested this may not approve it.")
    answer = await tier.ask("fiona", "POST", "/finance/v1/approvals/apr-1/decision", json={"decision": "approve"})
    assert_problem(answer, 403, "same_requester")
    assert answer.json()["detail"] == "Whoever requested this may not approve it."
    assert_problem(await tier.ask("fiona", "GET", "/finance/v1/invoices/inv-9"), 404, "not_found")


async def test_a_decision_is_taken_by_the_person_and_its_key_travels_hashed(tier: Tier) -> None:
    decided = {**APPROVAL, "state": "approved", "decided_by": "fiona.berg", "decided_at": "2026-11-02T08:00:00Z"}
    tier.process.says("POST /approvals/v1/approvals/apr-1/decision", decided)
    tier.process.says("GET /approvals/v1/approvals", {"items": [APPROVAL], "next_cursor": None})
    waiting = (await tier.ask("fiona", "GET", "/finance/v1/approvals")).json()
    assert waiting["message"] == "One decision is waiting."
    assert waiting["items"][0]["can_be_mine"] is True
    assert tier.process.heard[-1].query == {"status": "open", "kind": "invoice", "limit": "50"}
    for _ in range(2):
        answer = await tier.ask(
            "fiona",
            "POST",
            "/finance/v1/approvals/apr-1/decision",
            json={"decision": "approve", "comment": "ok"},
            headers={"Idempotency-Key": "mine"},
        )
        assert answer.json()["message"] == "Approved by fiona.berg."
    decisions = [heard for heard in tier.process.heard if heard.method == "POST"]
    assert len(decisions) == 1  # the second answer is the first one, kept
    assert decisions[0].body == {"decision": "approve", "comment": "ok"}
    assert decisions[0].headers["idempotency-key"] not in {"", "mine"}


async def test_many_decisions_each_have_their_own_outcome(tier: Tier) -> None:
    outcomes = [
        {"approval_id": "apr-1", "status": 200, "state": "approved"},
        {"approval_id": "apr-2", "status": 409, "code": "already_decided", "detail": "This was decided already."},
    ]
    tier.process.says("POST /approvals/v1/decisions", {"outcomes": outcomes, "decided": 1, "refused": 1})
    wanted = [{"approval_id": one["approval_id"], "decision": "approve"} for one in outcomes]
    answer = (await tier.ask("dan", "POST", "/pmo/v1/decisions", json={"decisions": wanted})).json()
    assert [item["message"] for item in answer["items"]] == ["Approved.", "Refused: This was decided already."]
    assert answer["message"] == "Taken: 1, refused: 1; see each one for the reason."


async def test_a_partner_sees_status_and_neither_money_nor_customers(tier: Tier) -> None:
    deal = {**DEAL, "state": "activated", "project_id": "prj_a", "activated_at": "2026-10-02T08:00:00Z", "findings": []}
    tier.process.says("GET /quote-to-project/v1/runs", {"items": [deal], "next_cursor": None})
    answer = await tier.ask("partner-demo", "GET", "/partner/v1/projects")
    assert answer.json()["items"][0]["state_label"] == "Active"
    assert "Acme" not in answer.text
    assert "1200" not in answer.text
    assert tier.process.heard[0].claims()["scope"] == "deals.read"


async def test_oauth_errors_are_in_the_form_of_the_standard(tier: Tier) -> None:
    wrong = await tier.client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=("dan", "nope"))
    assert wrong.status_code == 401
    assert wrong.json()["error"] == "invalid_client"
    assert wrong.headers["www-authenticate"].startswith('Basic realm="')
    as_json = await tier.client.post("/oauth/token", json={"grant_type": "client_credentials"})
    assert as_json.status_code in {401, 415}
    token = await tier.token("dan")
    auth = ("dan", "dan-secret-0123456789")
    told = await tier.client.post("/oauth/introspect", data={"token": token}, auth=auth)
    assert told.json()["active"] is True
    assert (await tier.client.post("/oauth/revoke", data={"token": token}, auth=auth)).status_code == 200
    told = await tier.client.post("/oauth/introspect", data={"token": token}, auth=auth)
    assert told.json() == {"active": False}
    assert_problem(await tier.ask("dan", "GET", "/pmo/v1/board"), 401, "not_authenticated")


async def test_the_tier_tells_its_health_and_describes_itself(tier: Tier) -> None:
    assert (await tier.client.get("/health")).json()["status"] == "ok"
    assert (await tier.client.get("/ready")).json()["ready"] is True
    document = (await tier.client.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["operationId"], path
            assert operation.get("summary"), path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PROCESS_URL", "nowhere"),
        ("CLIENTS_FILE", "/none/clients.yaml"),
        ("ACCESS_TOKEN_SECONDS", "5"),
        ("SEALING_KEY", "short"),
    ],
)
def test_bad_configuration_stops_the_start_and_names_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clients_file: Path, key: str, value: str
) -> None:
    good = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "ISSUER_URL": "http://127.0.0.1:8103",
        "PROCESS_URL": "http://127.0.0.1:8102",
        "CLIENTS_FILE": str(clients_file),
        "SEALING_KEY": "a sealing key of tests",
        "GATEWAY_DIR": str(GATEWAY),
    }
    for name, text in {**good, key: value}.items():
        monkeypatch.setenv(f"THROUGHLINE_EXPERIENCE_{name}", text)
    with pytest.raises(SystemExit) as ended:
        create_app(load_settings(ExperienceSettings))
    assert ended.value.code
    assert f"THROUGHLINE_EXPERIENCE_{key}" in capsys.readouterr().err


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["correlation_id"]
    json.dumps(answer.json())
