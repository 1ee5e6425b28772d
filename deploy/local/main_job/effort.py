"""Watches what the processes of the house take: memory at its peak, together and each, and processor time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Self

import psutil

from deploy.local.processes import Processes

_EVERY = 2.0
_MIB = 2**20
_US = "main job"
_WITH_CHILDREN = frozenset({"postgres", "sandbox"})  # below the sandbox: a real suite and its database


class EffortWatch:
    """Samples in the background while it is entered; pages that a family shares are counted once."""

    def __init__(self, processes: Processes, names: Iterable[str]) -> None:
        """`names` of the processes to watch; this program is watched too."""
        self._watched = {name: process for name in names if (process := processes.find(name))}
        self._watched[_US] = psutil.Process(os.getpid())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_total_mib = 0
        self.peak_mib: dict[str, int] = {}
        self.cpu_seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY):
            self._sample()

    def _sample(self) -> None:
        together = 0
        for name, process in self._watched.items():
            memory, seconds = _effort(process, with_children=name in _WITH_CHILDREN)
            together += memory
            self.peak_mib[name] = max(self.peak_mib.get(name, 0), round(memory / _MIB))
            self.cpu_seconds[name] = max(self.cpu_seconds.get(name, 0.0), round(seconds, 1))
        self.peak_total_mib = max(self.peak_total_mib, round(together / _MIB))


def _effort(process: psutil.Process, *, with_children: bool) -> tuple[int, float]:
    """Bytes and processor seconds of a process, or of its whole family."""
    private, shared, seconds = 0, 0, 0.0
    try:
        family = [process, *process.children(recursive=True)] if with_children else [process]
    except psutil.NoSuchProcess:
        return 0, 0.0
    for member in family:
        try:
            memory, times = member.memory_info(), member.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        in_common = int(getattr(memory, "shared", 0)) if with_children else 0
        private += memory.rss - in_common
        shared = max(shared, in_common)
        seconds += times.user + times.system
        if with_children:
            seconds += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return private + shared, seconds
