"""The bench compares like with like and prints one document; how fast anything is stands in no test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey

from deploy.local import bench, bench_servers
from deploy.local.bench_firm import DEALS, INVOICES, READ, WORK, Marks, Throughput
from deploy.local.bench_gateway import PATH, access_token
from deploy.local.bench_load import Admission
from deploy.local.bench_quota import excess
from deploy.local.main_job.progress import Silent
from deploy.local.report import PhaseReport


@pytest.fixture(scope="module")
def key() -> ECKey:
    return ECKey.generate_key("P-256", parameters={"kid": "bench"})


async def _asked(made: Callable[[ECKey], FastAPI], key: ECKey, times: int = 1, token: str = "") -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {token or access_token(key)}"}
    transport = httpx.ASGITransport(made(key))
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        return [await client.get(PATH, headers=headers) for _ in range(times)]


async def test_bare_full_and_book_answer_the_same_body(key: ECKey) -> None:
    answers = [(await _asked(made, key))[0] for made in (bench_servers.bare, bench_servers.full, bench_servers.book)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.content for answer in answers}) == 1


async def test_full_and_book_count_every_request(key: ECKey) -> None:
    full = await _asked(bench_servers.full, key, times=2)
    book = await _asked(bench_servers.book, key, times=2)
    assert ["r=9999999" in full[0].headers["ratelimit"], "r=9999998" in full[1].headers["ratelimit"]] == [True, True]
    first, second = (int(answer.headers["x-ratelimit-remaining"]) for answer in book)
    assert first - second == 1


async def test_full_and_book_refuse_a_token_of_another_key(key: ECKey) -> None:
    stranger = access_token(ECKey.generate_key("P-256", parameters={"kid": "bench"}))
    for made in (bench_servers.full, bench_servers.book):
        [answer] = await _asked(made, key, token=stranger)
        assert answer.status_code == 401


def test_a_tiny_run_prints_exactly_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(["--gateway-only", "--brief", "--rounds", "1", "--seconds", "0.1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"at", "machine", "gateway", "firm", "seconds"} <= document.keys()
    assert document["firm"] is None
    assert {"cores", "python", "load_average_at_start"} <= document["machine"].keys()
    gateway = document["gateway"]
    assert {"bare", "full", "book", "full_first_sight"} <= gateway["measured"].keys()
    for figures in gateway["measured"].values():
        assert {"requests_per_second", "p50_ms", "p99_ms", "cpu_us_per_request"} <= figures.keys()
        assert figures["requests"] > 0
    for name in ("full_to_bare", "full_to_book"):
        assert {"by_rate", "by_cpu", "rounds"} <= gateway["ratios"][name].keys()
    assert gateway["memory_mib"]["full"] > 0
    for figures in gateway["at_fixed_rate"].values():
        assert {"p50_ms", "p99_ms", "added_p50_ms", "added_p99_ms"} <= figures["full"].keys()
    assert gateway["over_admission"] is None


def test_an_excess_is_seen_wherever_the_window_is_laid() -> None:
    steady = [Admission(at / 10, at / 10 + 0.001) for at in range(30)]
    assert excess(steady, quota=10, seconds=1) == {
        "most_within_window": 10,
        "most_answered_within_window": 11,
        "excess": 0,
    }
    crowded = [*steady, *(Admission(1.55, 1.56) for _ in range(5))]
    assert excess(crowded, quota=10, seconds=1)["excess"] == 5
    assert excess([], quota=10, seconds=1)["excess"] == 0


def test_a_failure_stands_in_the_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def nothing(*_: object) -> None:
        """Leave the gate out."""

    monkeypatch.setattr("deploy.local.bench_gateway.run", nothing)
    assert bench.run(["--firm", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in json.loads(capsys.readouterr().out)["failed"]


def test_deals_are_timed_from_the_moment_they_are_won() -> None:
    clock = iter(range(100))
    marks = Marks(Silent(), now=lambda: float(next(clock)))
    marks.begin("First run")  # second 1
    marks.show(READ, 5, 5)  # 2: now they are won
    marks.show(DEALS, 1, 3, "0 activated")  # 3
    marks.show(DEALS, 3, 3, "2 activated")  # 4: the last that activates
    marks.show(DEALS, 3, 3, "2 activated")  # 5
    marks.show(WORK, 7, 7, "running")  # 6
    marks.show(WORK, 9, 9, "running")  # 7: the last entry
    marks.show(WORK, 9, 9, "drafted")  # 8
    marks.show(INVOICES, 0, 1)  # 9
    marks.show(INVOICES, 1, 1)  # 10: the last invoice
    tables: dict[str, list[dict[str, str]]] = {
        "projects.csv": [{"outcome": "activated"}, {"outcome": "activated"}],
        "invoices.csv": [{}],
        "totals.csv": [],
        "time_states.csv": [{"state": "billed", "entries": "8"}],
    }
    made = PhaseReport("first_run", tables, {"billing": 5.0})
    assert Throughput.of(made, marks, None) == Throughput(2, 2.0, 8, 9, 2.0, 1, 2.0)
