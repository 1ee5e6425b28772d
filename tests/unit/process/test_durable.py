"""The durable room: what is stored, what is repeated, what survives a restart, who takes over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from process_apis.durable import codec, engine
from process_apis.durable.keeper import Keeper
from process_apis.durable.retries import Patience
from process_apis.durable.store import Heartbeats
from shared.canonical.money import Money
from shared.errors.taxonomy import (
    Defect,
    FieldFinding,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    PlatformError,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from shared.persistence import Database, upgrade
from tests.unit.process.conftest import until


class Order(BaseModel):
    key: str
    amount: Money = Money.of("12.30", "EUR")


class Receipt(BaseModel):
    key: str
    total: Money


class Stranger(BaseModel):
    name: str


SEEN: Counter[str] = Counter()
TROUBLE: dict[str, list[Exception]] = {}
QUICK = Patience(waits_for=2.0, reconciles_for=2.0, first_pause=0.01, longest_pause=0.02)
engine.declare_queue("narrow", at_once=2)


@engine.step("ring up", patience=QUICK)
async def ring_up(order: Order) -> Receipt:
    SEEN[order.key] += 1
    if TROUBLE.get(order.key):
        raise TROUBLE[order.key].pop(0)
    return Receipt(key=order.key, total=order.amount + order.amount)


@engine.workflow("test-sale")
async def sale(order: Order) -> Receipt:
    return await ring_up(order)


@engine.workflow("test-waiting-sale")
async def waiting_sale(order: Order) -> Receipt:
    await ring_up(order)
    message = await engine.wait_for("go", seconds=60)
    return await ring_up(Order(key=f"{order.key}-{message['word']}", amount=order.amount))


@engine.workflow("test-judged-sale")
async def judged_sale(order: Order) -> Receipt:
    try:
        return await ring_up(order)
    except VendorRejected as refusal:
        raise PeriodClosed(refusal.message, findings=refusal.findings, extra=refusal.extra) from refusal


@engine.workflow("test-timed-sale")
async def timed_sale(order: Order) -> Receipt:
    assert await engine.wait_for("never", seconds=0.05) is None
    return await ring_up(order)


@pytest.fixture
async def url(postgres_url: str) -> str:
    await asyncio.to_thread(upgrade, postgres_url, "process_apis")
    return postgres_url


@pytest.fixture
async def running(url: str) -> AsyncIterator[str]:
    async with engine.running(engine.EngineSettings(url, executor_id="one")):
        yield url


async def rung_up(asked: Order) -> None:
    async def there() -> bool | None:
        return True if SEEN[asked.key] else None

    await until(there)


def order() -> Order:
    return Order(key=uuid4().hex)


@pytest.mark.usefixtures("running")
async def test_the_same_id_is_the_same_run() -> None:
    asked = order()
    assert await engine.start(sale, f"sale:{asked.key}", asked) is True
    assert await engine.start(sale, f"sale:{asked.key}", asked) is False
    receipt = await engine.result(f"sale:{asked.key}")
    assert receipt == Receipt(key=asked.key, total=Money.of("24.60", "EUR"))
    assert SEEN[asked.key] == 1
    run = await engine.outcome(f"sale:{asked.key}")
    assert run is not None
    assert (run.state, run.result) == (engine.RunState.DONE, receipt)


@pytest.mark.usefixtures("running")
async def test_ten_who_start_the_same_run_at_once_start_one() -> None:
    asked = order()
    await asyncio.gather(*(engine.start(sale, f"sale:{asked.key}", asked) for _ in range(10)))
    await engine.result(f"sale:{asked.key}")
    assert SEEN[asked.key] == 1


@pytest.mark.usefixtures("running")
async def test_waiting_and_reconciling_errors_are_repeated_until_it_works() -> None:
    asked = order()
    TROUBLE[asked.key] = [VendorUnavailable(), VendorThrottled(retry_after=0.01), OutcomeUnknown(), VendorUnavailable()]
    await engine.start(sale, asked.key, asked)
    await engine.result(asked.key)
    assert SEEN[asked.key] == 5


@pytest.mark.parametrize("error", [VendorRejected("No."), NotFound(), Defect()])
@pytest.mark.usefixtures("running")
async def test_other_errors_are_not_repeated_and_arrive_as_themselves(error: PlatformError) -> None:
    asked = order()
    TROUBLE[asked.key] = [error]
    await engine.start(sale, asked.key, asked)
    with pytest.raises(type(error), match=error.message):
        await engine.result(asked.key)
    assert SEEN[asked.key] == 1


@pytest.mark.usefixtures("running")
async def test_a_body_can_judge_an_error_with_all_it_says() -> None:
    asked = order()
    TROUBLE[asked.key] = [VendorRejected("No.", findings=[FieldFinding("a.b", "is odd")], extra={"system": "erp"})]
    await engine.start(judged_sale, asked.key, asked)
    with pytest.raises(PeriodClosed) as caught:
        await engine.result(asked.key)
    assert caught.value.findings == (FieldFinding("a.b", "is odd"),)
    assert caught.value.extra == {"system": "erp"}
    run = await engine.outcome(asked.key)
    assert run is not None
    assert isinstance(run.error, PeriodClosed)


@pytest.mark.usefixtures("running")
async def test_a_foreign_error_becomes_a_defect_that_tells_only_the_log() -> None:
    asked = order()
    TROUBLE[asked.key] = [ZeroDivisionError("secret number 7")]
    await engine.start(sale, asked.key, asked)
    with pytest.raises(Defect) as caught:
        await engine.result(asked.key)
    assert "7" not in caught.value.message
    assert "ZeroDivisionError" in str(caught.value.detail)


@pytest.mark.usefixtures("running")
async def test_patience_ends_and_the_last_error_is_told() -> None:
    asked = order()
    TROUBLE[asked.key] = [VendorUnavailable("Still down.")] * 1000
    await engine.start(sale, asked.key, asked)
    with pytest.raises(VendorUnavailable, match="Still down"):
        await engine.result(asked.key)


@pytest.mark.usefixtures("running")
async def test_a_message_wakes_a_waiting_run_once_per_key() -> None:
    asked = order()
    await engine.start(waiting_sale, asked.key, asked)
    assert await engine.notify(asked.key, "go", {"word": "now"}, key=f"go-{asked.key}") is True
    assert await engine.notify(asked.key, "go", {"word": "then"}, key=f"go-{asked.key}") is True
    assert (await engine.result(asked.key)).key == f"{asked.key}-now"
    assert await engine.notify("nobody", "go") is False


@pytest.mark.usefixtures("running")
async def test_waiting_ends_when_the_time_is_up() -> None:
    asked = order()
    await engine.start(timed_sale, asked.key, asked)
    assert (await engine.result(asked.key)).key == asked.key


@pytest.mark.usefixtures("running")
async def test_a_queue_runs_everything() -> None:
    asked = [order() for _ in range(5)]
    for each in asked:
        await engine.start(sale, each.key, each, queue="narrow")
    assert [(await engine.result(each.key)).key for each in asked] == [each.key for each in asked]


@pytest.mark.usefixtures("running")
async def test_a_cancelled_run_can_be_resumed() -> None:
    asked = order()
    await engine.start(waiting_sale, asked.key, asked)
    await rung_up(asked)
    await engine.cancel(asked.key)
    run = await engine.outcome(asked.key)
    assert run is not None
    assert run.state is engine.RunState.CANCELLED
    await engine.resume(asked.key)
    await engine.notify(asked.key, "go", {"word": "on"})
    assert (await engine.result(asked.key)).key == f"{asked.key}-on"
    with pytest.raises(NotFound):
        await engine.cancel("nobody")


async def test_a_restart_goes_on_where_it_stood(url: str) -> None:
    asked = order()
    async with engine.running(engine.EngineSettings(url, executor_id="one")):
        await engine.start(waiting_sale, asked.key, asked)
        await rung_up(asked)
        await asyncio.sleep(0.1)
    async with engine.running(engine.EngineSettings(url, executor_id="one")):
        await engine.notify(asked.key, "go", {"word": "again"})
        assert (await engine.result(asked.key)).key == f"{asked.key}-again"
    assert SEEN[asked.key] == 1


async def test_the_runs_of_a_silent_executor_are_adopted(url: str) -> None:
    asked = order()
    database = Database(url, pool=2)
    async with engine.running(engine.EngineSettings(url, executor_id="dead")):
        dead = Keeper(Heartbeats(database, executor_id="dead", app_version="1"))
        await dead.look_after()
        await engine.start(waiting_sale, asked.key, asked)
        await rung_up(asked)
        await asyncio.sleep(0.1)
    async with engine.running(engine.EngineSettings(url, executor_id="alive")):
        alive = Keeper(Heartbeats(database, executor_id="alive", app_version="1"), silent_for=0.2)
        await asyncio.sleep(0.25)
        assert await alive.look_after() == 1
        await engine.notify(asked.key, "go", {"word": "adopted"})
        assert (await engine.result(asked.key)).key == f"{asked.key}-adopted"
        assert await alive.look_after() == 0
    await database.aclose()
    assert SEEN[asked.key] == 1


simple = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.dates() | st.decimals(allow_nan=False)
)


@given(st.recursive(simple, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_what_is_stored_comes_back_as_it_was(value: object) -> None:
    assert codec.decode(codec.encode(value)) == value


def test_models_and_instants_come_back_as_themselves() -> None:
    stored = {
        "order": Order(key="k"),
        "at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "on": date(2026, 11, 20),
        "much": Decimal("1.10"),
    }
    assert codec.decode(codec.encode(stored)) == stored


def test_an_undeclared_model_is_not_stored() -> None:
    with pytest.raises(TypeError, match="Stranger is not declared"):
        codec.encode(Stranger(name="x"))


def test_a_stored_model_nobody_declares_any_more_is_not_guessed() -> None:
    text = codec.encode(Order(key="k")).replace("Order", "Gone")
    with pytest.raises(TypeError, match="Gone"):
        codec.decode(text)


@given(st.integers(0, 60), st.floats(0, 3599))
def test_pauses_stay_within_their_bounds(attempt: int, spent: float) -> None:
    pause = Patience().pause_after(VendorUnavailable(), attempt, spent)
    assert pause is not None
    assert 0 < pause <= 15 * 1.3
    assert Patience().pause_after(VendorUnavailable(), attempt, 3600) is None
    assert Patience().pause_after(VendorRejected(), attempt, spent) is None


def test_a_system_that_asks_for_patience_gets_it() -> None:
    pause = Patience().pause_after(VendorThrottled(retry_after=40), 0, 0)
    assert pause == 40
