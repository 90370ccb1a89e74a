"""The environment, read once."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

import settings
from equipment import open_configured_mailer
from jobs.encryption import new_key
from opening import open_database, open_storage, secret_key
from settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CONVEYOR_SLOTSS", "emails=5", "CONVEYOR_SLOTSS: no such setting; did you mean"),
        ("CONVEYOR_TIME_ZONE", "Mars/X", "CONVEYOR_TIME_ZONE: 'Mars/X' is no IANA time zone"),
        ("CONVEYOR_SLOTS", "emails", "CONVEYOR_SLOTS: write NAME=VALUE"),
        ("CONVEYOR_SLOTS", "emails=0", "CONVEYOR_SLOTS.EMAILS: Input should be greater"),
        ("CONVEYOR_RATES", "images=fast", "CONVEYOR_RATES.IMAGES: write a count per second"),
        ("CONVEYOR_SECRET_KEY", "short", "CONVEYOR_SECRET_KEY: must have at least 32"),
        ("CONVEYOR_ENCRYPTION_KEYS", "", "CONVEYOR_ENCRYPTION_KEYS: key 1 is not of the form"),
        ("CONVEYOR_ENCRYPTION_KEYS", "a:c2hvcnQ=", "CONVEYOR_ENCRYPTION_KEYS: key 1 has 5 bytes"),
        ("CONVEYOR_ENCRYPTION_KEYS_FILE", "/nowhere", "CONVEYOR_ENCRYPTION_KEYS_FILE: /nowhere"),
        ("CONVEYOR_SECRET_KEY_FILE", "/nowhere", "CONVEYOR_SECRET_KEY_FILE: /nowhere can't be"),
        ("CONVEYOR_SMTP_URL_FILE", "/dev/null", "CONVEYOR_SMTP_URL_FILE: /dev/null is empty"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert str(caught.value).startswith(told)


def test_an_address_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    wrong = Settings(
        data_dir=tmp_path,
        storage_url="ftp://x",
        database_url=SecretStr("mysql://x"),
        smtp_url=SecretStr("http://x"),
    )
    with pytest.raises(SettingsError, match="CONVEYOR_STORAGE_URL"):
        open_storage(wrong)
    with pytest.raises(SettingsError, match="CONVEYOR_DATABASE_URL"):
        open_database(wrong)
    with pytest.raises(SettingsError, match="CONVEYOR_SMTP_URL"):
        open_configured_mailer(wrong, connections=1)


def test_values_are_read_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40 + "\n")
    monkeypatch.setenv("CONVEYOR_SLOTS", "emails=5, images=1")
    monkeypatch.setenv("CONVEYOR_RATES", "images=10/m")
    monkeypatch.setenv("CONVEYOR_SHUTDOWN_GRACE", "90s")
    monkeypatch.setenv("CONVEYOR_SECRET_KEY_FILE", str(key))
    loaded = settings.load()
    assert loaded.slots == {"emails": 5, "images": 1}
    assert loaded.rates == {"images": pytest.approx(1 / 6)}
    assert loaded.shutdown_grace == timedelta(seconds=90)
    assert secret_key(loaded) == b"k" * 40


def test_a_variable_of_a_command_is_no_misspelt_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_OWNER", "ada")
    monkeypatch.setenv("CONVEYOR_QUEUES", "emails")
    assert settings.load() == Settings()


def test_a_secret_is_shown_nowhere() -> None:
    shown = repr(Settings(secret_key=SecretStr("s" * 40)))
    assert "ssss" not in shown


def test_a_wrong_encryption_key_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_ENCRYPTION_KEYS", "QmFzZTY0c2VjcmV0")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert "QmFzZTY0c2VjcmV0" not in str(caught.value)


def test_encryption_keys_come_from_a_file_that_the_command_wrote(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written = tmp_path / "keys"
    written.write_text(f"{new_key('2027')}\n{new_key('2026')}\n")
    monkeypatch.setenv("CONVEYOR_ENCRYPTION_KEYS_FILE", str(written))
    assert [key.id for key in settings.load().encryption] == ["2027", "2026"]
    assert settings.Settings(encryption_keys=None).encryption == ()


def test_the_default_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    made = Settings(data_dir=tmp_path)
    assert secret_key(made) == secret_key(made)
    assert len(secret_key(made)) >= 32
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
