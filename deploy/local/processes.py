"""Child processes: started with a log and a pid file, stopped by pid; what they do is not known here."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_SAME_START = 2.0
_TAIL_LINES = 25


class StartFailed(Exception):
    """A process did not come up; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a process is started. `stop_with` is the polite signal; `user` another user id to run as (root only)."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    stop_with: signal.Signals = signal.SIGTERM
    user: int | None = None


class Processes:
    """The processes of one state directory; pid files survive us, so that another call can stop them."""

    def __init__(self, pids: Path, logs: Path, *, die_with_us: bool) -> None:
        """`die_with_us`: the kernel ends the children when this process dies (Linux), and `stop` is due at exit."""
        self._pids = pids
        self._logs = logs
        self._die_with_us = die_with_us
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def log(self, name: str) -> Path:
        """The process's log file."""
        return self._logs / f"{name}.log"

    def start(self, recipe: Recipe) -> int:
        """Start it and remember its pid; the log is begun anew. Raises StartFailed if it runs already."""
        if (running := self.find(recipe.name)) is not None:
            raise StartFailed(f"{recipe.name} is running already (pid {running.pid}); `throughline down` stops it")
        with self.log(recipe.name).open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 - our own commands, no shell
                list(recipe.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **recipe.env},
                start_new_session=True,
                user=recipe.user,
                group=recipe.user,
                extra_groups=None if recipe.user is None else [],
                preexec_fn=_dies_with_parent(recipe.stop_with) if self._die_with_us else None,  # noqa: PLW1509 - no threads yet
            )
        self._children[recipe.name] = child
        record = {"pid": child.pid, "started": psutil.Process(child.pid).create_time(), "stop": recipe.stop_with.name}
        (self._pids / f"{recipe.name}.json").write_text(json.dumps(record), encoding="utf-8")
        return child.pid

    def find(self, name: str) -> psutil.Process | None:
        """The running process of that name, or None; a stale pid file is removed."""
        file = self._pids / f"{name}.json"
        child = self._children.get(name)
        if child is not None and child.poll() is not None:
            del self._children[name]
        if not file.exists():
            return None
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            process = psutil.Process(int(record["pid"]))
            ours = abs(process.create_time() - float(record["started"])) < _SAME_START
            if ours and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except (psutil.NoSuchProcess, ValueError, KeyError):
            pass
        file.unlink(missing_ok=True)
        return None

    def names(self) -> list[str]:
        """Names of the processes that are running."""
        known = sorted(file.stem for file in self._pids.glob("*.json"))
        return [name for name in known if self.find(name)]

    def wait_until(self, name: str, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait for readiness. Raises StartFailed when the process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.find(name) is None:
                raise StartFailed(f"{name} ended while it was starting; its log says:\n{self.tail(name)}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{name} was not ready after {seconds:.0f} s; its log says:\n{self.tail(name)}")
            time.sleep(0.05)

    def tail(self, name: str) -> str:
        """The last lines of its log."""
        if not self.log(name).exists():
            return "  (nothing)"
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (nothing)"

    def kill(self, name: str) -> None:
        """End it at once, as a power cut would (for tests)."""
        if process := self.find(name):
            process.kill()
            self._reap(name, process, 5)

    def stop(self, name: str, *, patience: float = 8.0) -> None:
        """Ask it to end, insist after `patience` seconds; nothing happens if it is not running."""
        process = self.find(name)
        if process is None:
            self._children.pop(name, None)
            return
        family = process.children(recursive=True)
        process.send_signal(signal.Signals[_stop_signal(self._pids / f"{name}.json")])
        if not self._reap(name, process, patience):
            process.kill()
            self._reap(name, process, 5)
        for orphan in family:
            if orphan.is_running():
                orphan.kill()

    def _reap(self, name: str, process: psutil.Process, seconds: float) -> bool:
        child = self._children.get(name)
        try:
            if child is not None:
                child.wait(seconds)
            else:
                process.wait(seconds)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            return False
        self._children.pop(name, None)
        (self._pids / f"{name}.json").unlink(missing_ok=True)
        return True


def _stop_signal(file: Path) -> str:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["stop"])
    except (OSError, ValueError, KeyError):
        return signal.SIGTERM.name


def _dies_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def tie() -> None:
        library.prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != parent:
            os._exit(1)

    return tie
