"""Events as the bus delivers them."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.canonical.events import Event, event_type
from shared.canonical.references import CanonicalModel
from tests.unit.process.fake_systems import TENANT


def fact(body: CanonicalModel, subject: str, number: int = 1) -> Event:
    return Event(
        id=f"evt-{subject}-{number}",
        source="/system/fake",
        type=event_type(body),
        subject=subject,
        time=datetime.now(UTC),
        tenant=TENANT,
        data=body.model_dump(mode="json"),
    )
