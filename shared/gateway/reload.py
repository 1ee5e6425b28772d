"""Takes changed policy documents into a running tier: watches their files, swaps or refuses, and tells what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.gateway.document import PLANS_FILE, DocumentRefused, GatewayDocuments, load_documents
from shared.gateway.registry import REGISTRY_FILE
from shared.gateway.supplies import Line
from shared.telemetry import counter, gauge, get_logger

_log = get_logger("gateway.reload")
_SETTLE_SECONDS = 0.2
_DIGEST_LENGTH = 16
Stamp = tuple[int, int, int]


@dataclass(slots=True)
class Watch:
    """The files of one tier's documents, and what to do when they change.

    `load` takes the new documents or raises DocumentRefused, and then everything stays as it was. Whoever may write
    these files rules the tier; that it was done is told in the audit log, with the digests of the files.
    """

    documents: GatewayDocuments
    load: Callable[[GatewayDocuments], None]
    audit: Line
    every: float = 2.0
    _nudged: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: dict[Path, Stamp] = field(default_factory=dict[Path, Stamp])
    _digests: dict[str, str] = field(default_factory=dict[str, str])

    def begin(self) -> None:
        """Remember the files as they are now."""
        self._seen, self._digests = self._stamps(), self._digested()

    def nudge(self) -> None:
        """Read the files now, whether they look changed or not."""
        self._nudged.set()

    async def follow(self) -> None:
        """Look at the files every few seconds until cancelled."""
        while True:
            await _wait(self._nudged.wait(), self.every or None)
            is_asked = self._nudged.is_set()
            self._nudged.clear()
            if is_asked or self._stamps() != self._seen:
                await self._settled()
                await self.take()

    async def take(self) -> None:
        """Read, check and load the documents as they are now; refuse them with all reasons when they do not fit."""
        self._seen = self._stamps()
        digests = await asyncio.to_thread(self._digested)
        files = _changes(self._digests, digests)
        if not files:
            self._refusing(is_refusing=False)
            return
        before = self.documents
        try:
            documents = await asyncio.to_thread(load_documents, self._folder, before.tier)
            self.load(documents)
        except DocumentRefused as refusal:
            self._tell("refused", files, reasons=refusal.lines)
            return
        self.documents, self._digests = documents, digests
        self._tell("applied", files, **differences(before, documents))

    @property
    def _folder(self) -> Path:
        assert self.documents.folder is not None  # noqa: S101 - only documents from files are watched
        return self.documents.folder

    def _files(self) -> list[Path]:
        own = sorted((self._folder / self.documents.tier).glob("*.yaml"))
        return [self._folder / REGISTRY_FILE, self._folder / PLANS_FILE, *own]

    def _stamps(self) -> dict[Path, Stamp]:
        found: dict[Path, Stamp] = {}
        for path in self._files():
            with suppress(OSError):
                facts = path.stat()
                found[path] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        return found

    def _digested(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in self._files():
            with suppress(OSError):
                name = path.relative_to(self._folder).as_posix()
                found[name] = sha256(path.read_bytes()).hexdigest()[:_DIGEST_LENGTH]
        return found

    async def _settled(self) -> None:
        """Wait until nobody writes any more: half a file may read as a whole one."""
        stamps = self._stamps()
        while True:
            await asyncio.sleep(_SETTLE_SECONDS)
            if (later := self._stamps()) == stamps:
                return
            stamps = later

    def _tell(self, outcome: str, files: Mapping[str, Any], **more: Any) -> None:
        tier = self.documents.tier
        self.audit({"event": "policies reloaded", "outcome": outcome, "files": files, **more})
        counter(
            f"throughline_{tier}_policy_reloads_total",
            ("outcome",),
            "Changed policy documents, by what became of them.",
        ).labels(outcome).inc()
        self._refusing(is_refusing=outcome == "refused")
        if outcome == "refused":
            _log.error("policy documents refused, the earlier ones stay", files=list(files), **more)
        else:
            _log.info("policy documents reloaded", files=list(files), **more)

    def _refusing(self, *, is_refusing: bool) -> None:
        told = "1 while the files hold documents that were refused."
        gauge(f"throughline_{self.documents.tier}_policies_refused", (), told).set(is_refusing)


def differences(before: GatewayDocuments, after: GatewayDocuments) -> dict[str, Any]:
    """Which operations changed in any way, which came and went, which plans and versions changed."""
    old, new = ({one.name: one for one in documents.operations()} for documents in (before, after))
    states = [
        {
            f"{api.api} {name}": (facts.lifecycle, facts.release)
            for api in one.apis
            for name, facts in api.versions.items()
        }
        for one in (before, after)
    ]
    return {
        "operations_changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
        "operations_added": sorted(new.keys() - old.keys()),
        "operations_removed": sorted(old.keys() - new.keys()),
        "plans_changed": sorted(_unequal(before.plans, after.plans)),
        "versions_changed": sorted(_unequal(states[0], states[1])),
    }


def _unequal(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    return {name: {"before": old.get(name), "after": new.get(name)} for name in sorted(_unequal(old, new))}


async def _wait(event: Awaitable[object], seconds: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event
