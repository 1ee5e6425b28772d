"""`make bench-entries`: time entries read through the whole system tier, per PSA, with the vendor near and far."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local import postgres
from deploy.local.choice import Choice
from deploy.local.failures import JobFailed
from deploy.local.main_job.callers import Caller
from deploy.local.main_job.vendors import VENDOR_TROUBLE, Vendors
from deploy.local.matrix import players
from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.processes import StartFailed
from deploy.local.supervisor import House

_OPPORTUNITY: Final = "bench-1"
_PEOPLE: Final = 20
_PAGE: Final = 1000
_MONEY: Final = {"amount": "100000.00", "currency": "EUR"}
_PLAN: Final[dict[str, Any]] = {
    "id": "prj_bench",
    "opportunity_id": "opp_bench",
    "opportunity_reference": _OPPORTUNITY,
    "contract_id": "con_bench",
    "contract_reference": "SOW-BENCH",
    "customer_id": "cus_bench",
    "customer_name": "Bench Shipping",
    "name": "Reading of many entries",
    "legal_entity_code": "HC-DE",
    "budget": _MONEY,
    "start_on": "2026-01-01",
    "template": "time-and-materials",
    "workstreams": [
        {
            "id": "wks_bench",
            "name": "WS1",
            "item_code": "SVC-IMPL",
            "billing_model": "time_and_materials",
            "budget": _MONEY,
            "start_on": "2026-01-01",
        }
    ],
}


def main() -> None:
    """Entry point: one JSON document, PSA → latency → figures."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.bench_entries", description=__doc__)
    parser.add_argument("--psa", action="append", help="only this PSA (may be given several times)")
    parser.add_argument("--entries", type=int, default=10_000, help="entries on one project")
    parser.add_argument("--latency-ms", type=int, action="append", help="what each call costs (default 0 and 50)")
    asked = parser.parse_args()
    document: dict[str, Any] = {}
    failed = False
    for name in asked.psa or players("psa"):
        try:
            document[name] = _measured(name, asked.entries, asked.latency_ms or [0, 50])
        except (JobFailed, StartFailed, httpx.HTTPError, *VENDOR_TROUBLE) as error:
            failed = True
            document[name] = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(document, indent=2))
    sys.exit(1 if failed else 0)


def _measured(name: str, entries: int, latencies: list[int]) -> dict[str, Any]:
    root = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    root.chmod(0o755)  # PostgreSQL does not run as root: another user must be able to come in
    places = Places(root)
    try:
        with House(places, Ports.free(), choice=Choice.of(psa=name)) as house:
            return asyncio.run(_read(house, name, entries, latencies))
    finally:
        postgres.forget(places)
        shutil.rmtree(root, ignore_errors=True)


async def _read(house: House, name: str, entries: int, latencies: list[int]) -> dict[str, Any]:
    installation = house.installation
    async with httpx.AsyncClient(timeout=300, trust_env=False) as http:
        vendors = Vendors(installation, http)
        tier = Caller(
            http,
            base_url=installation.url("system"),
            token_endpoint=f"{installation.url('experience')}/oauth/token",
            client_id="tier-process",
            secret=installation.secrets.clients["tier-process"],
        )
        await vendors.psa.load_users(list(_people()))
        project = await tier.put(f"/psa/v1/projects/{_PLAN['id']}", _PLAN)
        await vendors.psa.book({_OPPORTUNITY: project["source"]["ref"]}, list(_rows(entries)), [])
        found: dict[str, Any] = {}
        for milliseconds in latencies:
            control = f"{installation.url('sandbox')}/_control/{name}"
            await http.delete(f"{control}/faults")
            if milliseconds:
                fault = {"kind": "latency", "seconds": milliseconds / 1000, "times": None}
                (await http.post(f"{control}/faults", json=fault)).raise_for_status()
            before = (await vendors.calls())[name]
            began = time.monotonic()
            seen = {item["source"]["ref"] async for item in tier.pages("/psa/v1/time-entries", limit=_PAGE)}
            seconds = time.monotonic() - began
            if len(seen) != entries:
                raise JobFailed(f"{name}: {len(seen)} of {entries} entries came")
            found[f"{milliseconds} ms"] = {
                "entries": entries,
                "seconds": round(seconds, 2),
                "per_second": round(entries / seconds),
                "vendor_calls": (await vendors.calls())[name] - before,
            }
        return found


def _people() -> Iterator[dict[str, str]]:
    for number in range(1, _PEOPLE + 1):
        yield {
            "user_id": str(number),
            "name": f"Consultant {number:03}",
            "username": f"user{number:03}",
            "role": "Engineer",
            "active": "true",
        }


def _rows(entries: int) -> Iterator[dict[str, str]]:
    first = date(2026, 1, 1)
    for number in range(entries):
        yield {
            "entry_id": f"bench-{number}",
            "opportunity_id": _OPPORTUNITY,
            "workstream": "WS1",
            "user_id": str(number % _PEOPLE + 1),
            "role": "Engineer",
            "work_date": (first + timedelta(days=number // _PEOPLE % 330)).isoformat(),
            "hours": "1.00",
            "billable": "true",
            "approved": "true",
        }


if __name__ == "__main__":
    main()
