"""What goes on beside the requests while a tier runs: documents are watched, usage is counted; no request enters."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from shared.gateway.policies.usage.recorder import UsageRecorder
from shared.gateway.reload import Watch


@asynccontextmanager
async def watching(watch: Watch | None) -> AsyncGenerator[None]:
    """Take changed policy documents in, by looking at the files and on SIGHUP."""
    if watch is None:
        yield
        return
    watch.begin()
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, RuntimeError, ValueError):  # a loop outside of the main thread hears no signals
        loop.add_signal_handler(signal.SIGHUP, watch.nudge)
    following = asyncio.create_task(watch.follow(), name="policy documents")
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.remove_signal_handler(signal.SIGHUP)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


@asynccontextmanager
async def counting(recorder: UsageRecorder | None) -> AsyncGenerator[None]:
    """Hand what was counted to its store every few seconds and once more at the end."""
    if recorder is None:
        yield
        return
    await recorder.start()
    try:
        yield
    finally:
        await recorder.aclose()
