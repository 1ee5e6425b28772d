"""Ground of everything that writes: one writer per record, silence after a first write, what fits our language."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from pydantic import ValidationError

from shared.errors.taxonomy import (
    FieldFinding,
    OutcomeUnknown,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from system_apis.connectors.s4hana.directory import VENDOR, Directory


class Writers:
    """Writes of one record are made one at a time; a refusal empties the directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, identifier: str) -> AsyncGenerator[None]:
        """The one writer of that record."""
        lock = self._locks.setdefault(identifier, asyncio.Lock())
        async with lock:
            try:
                yield
            except VendorRejected:
                self._directory.forget()
                raise


@contextmanager
def begun(what: str) -> Generator[None]:
    """Something was written already: that S/4HANA falls silent now no longer means that nothing was."""
    try:
        yield
    except (VendorUnavailable, VendorThrottled) as error:
        sentence = f"{VENDOR} took {what}, whole or in part, and fell silent."
        raise OutcomeUnknown(sentence, detail=error.message) from error


@contextmanager
def canonical() -> Generator[None]:
    """What S/4HANA holds may not fit our language: an unknown currency, a name of 300 letters."""
    try:
        yield
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
        raise VendorDrift(f"{VENDOR} holds what does not fit {error.title}: {listed}", findings=findings) from error
