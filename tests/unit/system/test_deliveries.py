"""A delivery shows who sent it and when before anything of it is read; what is wrong is named by field and reason."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel
from standardwebhooks import Webhook

from shared.errors.taxonomy import InvalidRequest, NotAuthenticated
from system_apis.ports.changes import WebhookDelivery
from system_apis.ports.deliveries import WINDOW, check_time, header, read_body, verified

SECRET = "conformance-webhook-secret"
SENT_AT = datetime(2026, 10, 28, 12, 0, tzinfo=UTC)
BODY = '{"name": "Grüße", "lines": [{"hours": 3}]}'


class Line(BaseModel):
    hours: int


class Notice(BaseModel):
    name: str
    lines: list[Line]


def signed(body: str = BODY, *, secret: str = SECRET, number: str = "msg_1") -> dict[str, str]:
    """The headers of a delivery, signed by the independent library."""
    signer = Webhook(base64.b64encode(secret.encode()).decode())
    stamp = str(int(SENT_AT.timestamp()))
    return {
        "webhook-id": number,
        "webhook-timestamp": stamp,
        "webhook-signature": signer.sign(number, SENT_AT, body),
    }


def delivery(headers: dict[str, str], body: str = BODY, *, later: timedelta = timedelta()) -> WebhookDelivery:
    return WebhookDelivery(headers, body.encode(), SENT_AT + later)


def test_what_an_independent_library_signs_is_taken_with_its_id() -> None:
    assert verified(delivery(signed()), SECRET) == "msg_1"


def test_one_good_signature_among_several_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"
    assert verified(delivery(headers), SECRET) == "msg_1"


@pytest.mark.parametrize(
    ("changes", "later", "field", "reason"),
    [
        ({"webhook-id": ""}, 0, "webhook-id", "is missing"),
        ({"webhook-timestamp": ""}, 0, "webhook-timestamp", "is missing"),
        ({"webhook-signature": ""}, 0, "webhook-signature", "is missing"),
        ({"webhook-id": "msg_2"}, 0, "webhook-signature", "does not fit the body"),
        ({"webhook-id": "msg_\u00e9"}, 0, "webhook-signature", "does not fit the body"),
        ({"webhook-signature": "v1,\u00e9"}, 0, "webhook-signature", "does not fit the body"),
        ({"webhook-signature": " "}, 0, "webhook-signature", "does not fit the body"),
        ({"webhook-timestamp": "yesterday"}, 0, "webhook-timestamp", "is not a time"),
        ({"webhook-timestamp": "-1"}, 0, "webhook-timestamp", "is not a time"),
        ({"webhook-timestamp": "\u00b2"}, 0, "webhook-timestamp", "is not a time"),
        ({"webhook-timestamp": "9" * 5000}, 0, "webhook-timestamp", "is not a time"),
        ({"webhook-timestamp": "9" * 15}, 0, "webhook-timestamp", "is outside the replay window"),
        ({}, 301, "webhook-timestamp", "is outside the replay window"),
        ({}, -301, "webhook-timestamp", "is outside the replay window"),
    ],
)
def test_what_is_not_signed_as_agreed_is_refused_with_field_and_reason(
    changes: dict[str, str], later: int, field: str, reason: str
) -> None:
    with pytest.raises(NotAuthenticated, match="not signed as agreed") as told:
        verified(delivery({**signed(), **changes}, later=timedelta(seconds=later)), SECRET)
    assert [(one.field, one.reason) for one in told.value.findings] == [(field, reason)]


def test_another_body_and_another_secret_do_not_fit() -> None:
    for headers, body in ((signed(), f"{BODY} "), (signed(secret="somebody else's"), BODY)):
        with pytest.raises(NotAuthenticated) as told:
            verified(delivery(headers, body), SECRET)
        assert [(one.field, one.reason) for one in told.value.findings] == [
            ("webhook-signature", "does not fit the body")
        ]


def test_the_window_reaches_as_far_back_as_forth() -> None:
    for later in (WINDOW, -WINDOW):
        assert verified(delivery(signed(), later=later), SECRET) == "msg_1"


def test_a_time_may_count_smaller_parts_of_a_second() -> None:
    stamp = str(int(SENT_AT.timestamp() * 1000) + 999)
    check_time(delivery({"x-stamp": stamp}), "x-stamp", per_second=1000)
    with pytest.raises(NotAuthenticated, match="not signed as agreed"):
        check_time(delivery({"x-stamp": stamp}), "x-stamp")


def test_a_header_that_is_not_there_is_named() -> None:
    with pytest.raises(NotAuthenticated) as told:
        header(delivery({}), "x-key")
    assert [(one.field, one.reason) for one in told.value.findings] == [("x-key", "is missing")]


def test_a_body_is_read_as_what_it_is() -> None:
    assert read_body(BODY.encode(), Notice, "notice") == Notice(name="Grüße", lines=[Line(hours=3)])


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_told_as_such(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="The notice cannot be read") as told:
        read_body(body, Notice, "notice")
    assert [(one.field, one.reason) for one in told.value.findings] == [("body", "is not JSON")]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"[]", ["body"]),
        (b"{}", ["name", "lines"]),
        (b'{"name": "x", "lines": [{"hours": "many"}]}', ["lines.0.hours"]),
    ],
)
def test_every_field_of_a_body_that_does_not_fit_is_named(body: bytes, fields: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="The notice cannot be read") as told:
        read_body(body, Notice, "notice")
    assert [one.field for one in told.value.findings] == fields
