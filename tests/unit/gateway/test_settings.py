"""Settings: what is wrong is named by its key."""

from __future__ import annotations

import pytest
from pydantic_settings import SettingsConfigDict

from shared.serving.settings import TierSettings, load_settings


class Settings(TierSettings):
    """Of a tier of the test."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="THROUGHLINE_TESTED_")


GOOD = {
    "THROUGHLINE_TESTED_PORT": "8101",
    "THROUGHLINE_TESTED_DATABASE_URL": "postgresql://localhost/tested",
    "THROUGHLINE_TESTED_ISSUER_URL": "http://127.0.0.1:8103",
    "THROUGHLINE_TESTED_AUDIENCE": "throughline-tested",
}


@pytest.fixture(autouse=True)
def good_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in GOOD.items():
        monkeypatch.setenv(key, value)


def test_a_good_environment_is_read_whole() -> None:
    settings = load_settings(Settings)
    assert settings.port == 8101
    assert settings.counters_url == "memory://"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("DATABASE_URL", "sqlite:///x"),
        ("COUNTERS_URL", "memcached://x"),
        ("ISSUER_URL", "127.0.0.1"),
        ("LOG_LEVEL", "CHATTY"),
        ("NATS_URL", "http://x"),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    monkeypatch.setenv(f"THROUGHLINE_TESTED_{key}", value)
    with pytest.raises(SystemExit) as end:
        load_settings(Settings)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"THROUGHLINE_TESTED_{key}: ")


def test_all_missing_keys_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("THROUGHLINE_TESTED_PORT")
    monkeypatch.delenv("THROUGHLINE_TESTED_ISSUER_URL")
    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert capsys.readouterr().err.splitlines() == [
        "THROUGHLINE_TESTED_PORT: is not set",
        "THROUGHLINE_TESTED_ISSUER_URL: is not set",
    ]


def test_secrets_are_not_printed_with_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_TESTED_CLIENT_SECRET", "very-secret-indeed")
    assert "very-secret-indeed" not in repr(load_settings(Settings))
