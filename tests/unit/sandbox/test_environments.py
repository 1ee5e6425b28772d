"""Environments of their own: made once from a lock, hashes checked, and a clear word when the registry is silent."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from deploy.sandbox.kit import environments
from deploy.sandbox.kit.environments import InstallFailed, RegistryUnreachable, alone, cache, edition, environment
from tests.conformance.served import free_port

Locked = Callable[[str], Path]


@pytest.fixture
def locked(tmp_path: Path) -> Locked:
    """A lock that pins a package of one module, lying in a file, to a hash."""
    wheel = tmp_path / "lantern-1.0-py3-none-any.whl"
    about = "lantern-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("lantern.py", "LIGHT = 'on'\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: lantern\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"lantern.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")

    def lock(digest: str = "") -> Path:
        said = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
        path = tmp_path / "requirements.lock"
        path.write_text(f"lantern @ {wheel.as_uri()} --hash=sha256:{said}\n", encoding="utf-8")
        return path

    return lock


def test_what_the_lock_pins_is_installed_once(locked: Locked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = environment(locked(""), "The lantern", tmp_path / "home")
    asked = [python, "-I", "-c", "import lantern; print(lantern.LIGHT)"]
    assert subprocess.run(asked, capture_output=True, check=True).stdout == b"on\n"  # noqa: S603 - our own command
    monkeypatch.setattr(environments, "run", lambda *_: pytest.fail("installed again"))
    assert environment(locked(""), "The lantern", tmp_path / "home") == python


def test_what_has_another_hash_is_refused_and_not_taken_for_installed(locked: Locked, tmp_path: Path) -> None:
    with pytest.raises(InstallFailed, match=r"The lantern could not be installed.*HASHES") as caught:
        environment(locked("0" * 64), "The lantern", tmp_path / "home")
    assert not isinstance(caught.value, RegistryUnreachable)
    assert not (tmp_path / "home" / "installed").exists()


def test_a_silent_registry_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"lantern==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    with pytest.raises(RegistryUnreachable, match=r"The lantern .* the package registry does not answer"):
        environment(lock, "The lantern", tmp_path / "home")


def test_the_cache_is_where_the_variable_says_or_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("THE_VARIABLE", raising=False)
    assert cache("lantern", "THE_VARIABLE") == tmp_path / "throughline" / "lantern"
    monkeypatch.setenv("THE_VARIABLE", str(tmp_path / "elsewhere"))
    assert cache("lantern", "THE_VARIABLE") == tmp_path / "elsewhere"


def test_another_lock_is_another_edition(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("lantern==1.0\n", encoding="utf-8")
    first = edition(lock)
    assert edition(lock) == first
    assert edition(lock, "more") != first
    lock.write_text("lantern==1.1\n", encoding="utf-8")
    assert edition(lock) != first


def test_whoever_comes_second_waits(tmp_path: Path) -> None:
    entered = Event()

    def second() -> None:
        with alone(tmp_path):
            entered.set()

    waiting = Thread(target=second)
    with alone(tmp_path):
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    waiting.join(10)
