"""Watches what the processes of the house take: memory at its peak, together and each, and processor time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Self

import psutil

from deploy.local.processes import Processes

_EVERY = 0.5
_MIB = 2**20
_US = "main job"


class EffortWatch:
    """Samples in the background while it is entered; shared pages are counted once where the system can tell."""

    def __init__(self, processes: Processes, names: Iterable[str]) -> None:
        """`names` of the processes, each with its children; this program is watched too."""
        self._pids = {name: process.pid for name in names if (process := processes.find(name))}
        self._pids[_US] = os.getpid()
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

    def _watch(self) -> None:
        while True:
            held = {name: _of_family(pid, alone=name == _US) for name, pid in self._pids.items()}
            self.peak_total_mib = max(self.peak_total_mib, round(sum(held.values()) / _MIB))
            for name, pid in self._pids.items():
                self.cpu_seconds[name] = _processor_time(pid, alone=name == _US)
            for name, size in held.items():
                self.peak_mib[name] = max(self.peak_mib.get(name, 0), round(size / _MIB))
            if self._stop.wait(_EVERY):
                return


def _family(pid: int, *, alone: bool) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process] if alone else [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _of_family(pid: int, *, alone: bool) -> int:
    return sum(_of_one(member) for member in _family(pid, alone=alone))


def _processor_time(pid: int, *, alone: bool) -> float:
    taken = 0.0
    for member in _family(pid, alone=alone):
        try:
            times = member.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        taken += times.user + times.system
        if not alone:
            taken += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return round(taken, 1)


def _of_one(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", None) or full.uss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
