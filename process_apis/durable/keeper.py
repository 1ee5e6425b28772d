"""Keeps the engine's work alive across replicas: beats, and adopts the runs of executors that fell silent."""

from __future__ import annotations

import asyncio

from process_apis.durable import engine
from process_apis.durable.store import Heartbeats
from shared.errors.taxonomy import PlatformError
from shared.telemetry import get_logger

_log = get_logger(__name__)


class Keeper:
    """Beats every `interval` seconds; whoever is silent for `silent_for` seconds loses its runs to a living one."""

    def __init__(self, heartbeats: Heartbeats, *, interval: float = 3.0, silent_for: float = 15.0) -> None:
        self._heartbeats = heartbeats
        self._interval = interval
        self._silent_for = silent_for

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look_after()
            except PlatformError as trouble:
                _log.warning("heartbeat_missed", code=trouble.code)
            await asyncio.sleep(self._interval)

    async def look_after(self) -> int:
        """One beat and one look around; the number of runs taken over."""
        await self._heartbeats.beat()
        silent = await self._heartbeats.claim_silent(self._silent_for)
        if not silent:
            return 0
        adopted = await engine.adopt(silent)
        await self._heartbeats.forget(silent)
        _log.warning("executors_adopted", executors=silent, runs=adopted)
        return adopted
