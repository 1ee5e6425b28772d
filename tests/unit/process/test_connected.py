"""What the processes know of the connected systems: drift that somebody may have mended is asked for afresh."""

from __future__ import annotations

from typing import Any, cast

import pytest

from process_apis.systems.connectors import ConnectedSystem, ConnectorsApi, Drift
from system_apis.schema_drift import BLOCKING, DriftKind

GONE = Drift(entity="invoice", field="period", kind="field_missing", reason="invoice has no field custbody_tl_period")


class Wire:
    """Tells remembered systems, and others to who asks for what is there now."""

    def __init__(self, remembered: tuple[Drift, ...], now: tuple[Drift, ...]) -> None:
        self.told = {None: remembered, 0.0: now}
        self.asked: list[float | None] = []

    async def whole(self, model: type, path: str, *, at_most: float | None = None) -> tuple[Any, ...]:
        assert (model, path) == (ConnectedSystem, "/connectors/v1/connectors")
        self.asked.append(at_most)
        return (ConnectedSystem(name="some-erp", role="erp", can={}, drift=self.told[at_most]),)


async def test_what_fits_is_asked_once_and_kept_for_a_moment() -> None:
    wire = Wire((), ())
    api = ConnectorsApi(cast("Any", wire))
    assert await api.list_connectors() == await api.list_connectors()
    assert wire.asked == [None]


async def test_drift_is_believed_only_when_it_stands_now() -> None:
    mended, broken = Wire((GONE,), ()), Wire((GONE,), (GONE,))
    assert (await ConnectorsApi(cast("Any", mended)).list_connectors())[0].drift == ()
    assert (await ConnectorsApi(cast("Any", broken)).list_connectors())[0].drift == (GONE,)
    assert mended.asked == broken.asked == [None, 0]


async def test_what_holds_up_nobody_is_not_asked_for_again() -> None:
    shown = GONE.model_copy(update={"kind": "value_unmapped"})
    wire = Wire((shown,), ())
    assert (await ConnectorsApi(cast("Any", wire)).list_connectors())[0].drift == (shown,)
    assert wire.asked == [None]


async def test_who_must_know_now_is_not_told_what_was_kept() -> None:
    wire = Wire((), (GONE,))
    api = ConnectorsApi(cast("Any", wire))
    assert (await api.list_connectors())[0].drift == ()
    assert (await api.list_connectors(now=True))[0].drift == (GONE,)
    assert wire.asked == [None, 0]


@pytest.mark.parametrize("kind", list(DriftKind))
def test_what_the_system_tier_calls_blocking_is_blocking_here(kind: DriftKind) -> None:
    assert GONE.model_copy(update={"kind": kind.value}).is_blocking == (kind in BLOCKING)
