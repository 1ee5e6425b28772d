"""Record ids as the vendor makes them: 15 case-sensitive characters and three that guard their case."""

from __future__ import annotations

import string
from functools import lru_cache

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_GUARD = string.ascii_uppercase + "012345"
_INSTANCE = "Hb0"
_SHORT, _LONG = 15, 18


@lru_cache(maxsize=1 << 17)
def with_guard(short: str) -> str:
    """The 18-character form: per block of five characters one that tells which of them are capitals."""
    suffix = ""
    for start in range(0, _SHORT, 5):
        block = short[start : start + 5]
        suffix += _GUARD[sum(1 << place for place, letter in enumerate(block) if letter in string.ascii_uppercase)]
    return short + suffix


def make_id(prefix: str, number: int) -> str:
    """The id of the n-th record of an object."""
    digits = ""
    for _ in range(9):
        number, rest = divmod(number, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return with_guard(prefix + _INSTANCE + digits)


def normal_id(value: str) -> str | None:
    """The 18-character form of either form; None when it cannot be an id."""
    if len(value) == _SHORT and value.isalnum() and value.isascii():
        return with_guard(value)
    if len(value) == _LONG and value.isalnum() and value.isascii() and with_guard(value[:_SHORT]) == value:
        return value
    return None
