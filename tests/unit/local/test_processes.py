"""Processes are stopped by pid, and a stale pid file fools nobody."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import Processes, Recipe, StartFailed

SLEEPER = Recipe("sleeper", [sys.executable, "-c", "print('hello', flush=True); import time; time.sleep(60)"])
STUBBORN = Recipe(
    "stubborn",
    [
        *(sys.executable, "-c"),
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
    ],
)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    (tmp_path / "pids").mkdir()
    (tmp_path / "logs").mkdir()
    return Processes(tmp_path / "pids", tmp_path / "logs", die_with_us=True)


def test_a_process_is_stopped_by_another_call(processes: Processes, tmp_path: Path) -> None:
    pid = processes.start(SLEEPER)
    another = Processes(tmp_path / "pids", tmp_path / "logs", die_with_us=False)
    assert another.names() == ["sleeper"]
    another.stop("sleeper")
    assert another.names() == []
    assert processes.find("sleeper") is None
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_process_that_does_not_listen_is_killed(processes: Processes) -> None:
    processes.start(STUBBORN)
    processes.wait_until("stubborn", lambda: "deaf" in processes.tail("stubborn"), seconds=10)
    processes.stop("stubborn", patience=0.2)
    assert processes.find("stubborn") is None


def test_a_pid_that_belongs_to_somebody_else_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "pids" / "sleeper.json"
    file.write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "stop": "SIGTERM"}))
    assert processes.find("sleeper") is None
    assert not file.exists()


def test_a_process_that_ends_while_starting_shows_its_log(processes: Processes) -> None:
    processes.start(Recipe("broken", [sys.executable, "-c", "raise SystemExit('key THIS_KEY is missing')"]))
    with pytest.raises(StartFailed, match=r"broken ended while it was starting(.|\n)*THIS_KEY is missing"):
        processes.wait_until("broken", lambda: False, seconds=20)


def test_a_process_is_not_started_twice(processes: Processes) -> None:
    processes.start(SLEEPER)
    with pytest.raises(StartFailed, match="running already"):
        processes.start(SLEEPER)
    processes.stop("sleeper")
