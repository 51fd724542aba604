"""Settings: where each comes from, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin import settings
from tocsin.settings import Address, SettingError, load


def test_a_flag_beats_a_variable_which_beats_the_default() -> None:
    assert load({}, {}).web_listen_address == Address("127.0.0.1", 9911)
    environ = {"TOCSIN_WEB_LISTEN_ADDRESS": "0.0.0.0:80"}
    assert load({}, environ).web_listen_address == Address("0.0.0.0", 80)
    found = load({"web_listen_address": "[::1]:0"}, environ)
    assert found.web_listen_address == Address("::1", 0)
    assert found.origins["web.listen-address"] == "--web.listen-address"
    assert found.origins["log.level"] == "default"


def test_every_default_is_accepted_by_its_own_parser() -> None:
    found = load({}, {"HOME": "/home/ada"})
    assert found.storage_path == Path("/home/ada/.local/state/tocsin")
    assert found.rules_path == Path("/home/ada/.local/state/tocsin/rules")
    assert found.web_header_timeout == 10_000
    assert found.web_max_body == 4 * 1024 * 1024
    assert found.accept_data_loss is False


def test_the_rules_live_in_the_storage_path_unless_said_otherwise() -> None:
    assert load({}, {"TOCSIN_STORAGE_PATH": "/srv/t"}).rules_path == Path("/srv/t/rules")
    assert load({}, {"TOCSIN_STORAGE_PATH": "/srv/t", "TOCSIN_RULES_PATH": "/etc/t"}).rules_path == Path("/etc/t")
    assert load({}, {"XDG_STATE_HOME": "/state"}).storage_path == Path("/state/tocsin")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TOCSIN_WEB_LISTEN_ADDRESS", "localhost", "HOST:PORT"),
        ("TOCSIN_WEB_LISTEN_ADDRESS", "127.0.0.1:70000", "HOST:PORT"),
        ("TOCSIN_WEB_EXTERNAL_URL", "tocsin.example.org", "https://"),
        ("TOCSIN_REDIS_URL", "http://x", "redis://"),
        ("TOCSIN_LOG_LEVEL", "debgu", "did you mean debug?"),
        ("TOCSIN_WEB_HEADER_TIMEOUT", "10", "500ms"),
        ("TOCSIN_WEB_HEADER_TIMEOUT", "10s 5", "500ms"),
        ("TOCSIN_WEB_MAX_BODY", "0", "8MiB"),
        ("TOCSIN_WEB_MAX_NESTING", "1000", "from 4 to 64"),
        ("TOCSIN_ACCEPT_DATA_LOSS", "maybe", "true or false"),
        ("TOCSIN_WORK_DELIVERERS", "0", "from 1 to 64"),
    ],
)
def test_an_error_names_flag_variable_and_value_and_says_what_is_allowed(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({}, {variable: value})
    said = str(caught.value)
    flag = next(spec.flag for spec in settings.TABLE if spec.variable == variable)
    assert f"--{flag}" in said
    assert variable in said
    assert words in said
    assert (repr(value) in said) is (variable != "TOCSIN_REDIS_URL")


def test_a_secret_may_be_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://:hunter2@store.example:6379/0\n")
    found = load({}, {"TOCSIN_REDIS_URL_FILE": str(file)})
    assert found.redis_url == "redis://:hunter2@store.example:6379/0"
    assert found.origins["redis.url"] == f"TOCSIN_REDIS_URL_FILE ({file})"
    assert "hunter2" not in repr(settings.shown(found))


def test_a_secret_given_twice_or_in_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(SettingError, match="cannot be read"):
        load({}, {"TOCSIN_ADMIN_TOKEN_FILE": str(file)})
    file.write_text("abc")
    with pytest.raises(SettingError, match="both set"):
        load({}, {"TOCSIN_ADMIN_TOKEN_FILE": str(file), "TOCSIN_ADMIN_TOKEN": "def"})


def test_what_is_given_empty_counts_as_not_given() -> None:
    assert load({"log_level": ""}, {"TOCSIN_LOG_LEVEL": ""}).log_level == "info"


def test_durations_and_sizes_with_units() -> None:
    found = load({}, {"TOCSIN_JOURNAL_RETENTION": "1d12h", "TOCSIN_WEB_MAX_BODY": "512KiB"})
    assert found.journal_retention == 36 * 3_600_000
    assert found.web_max_body == 512 * 1024


def test_a_child_process_gets_the_same_settings(tmp_path: Path) -> None:
    given = {
        "TOCSIN_STORAGE_PATH": str(tmp_path),
        "TOCSIN_REDIS_URL": "unix:///run/x.sock",
        "TOCSIN_JOURNAL_RETENTION": "90m",
        "TOCSIN_WEB_MAX_BODY": "3000",
        "TOCSIN_ACCEPT_DATA_LOSS": "yes",
    }
    found = load({"web_listen_address": "[::1]:0"}, given)
    child = load({}, found.environment())
    for spec in settings.TABLE:
        assert getattr(child, spec.name) == getattr(found, spec.name), spec.flag


def test_variables_that_no_setting_knows_are_named() -> None:
    assert settings.unknown_variables({"TOCSIN_REDIS_URI": "x", "TOCSIN_LOG_LEVEL": "info", "PATH": "/"}) == [
        "TOCSIN_REDIS_URI is no setting; did you mean TOCSIN_REDIS_URL?"
    ]


def test_only_loopback_addresses_count_as_loopback() -> None:
    assert Address("127.0.0.53", 1).loopback
    assert Address("::1", 1).loopback
    assert Address("localhost", 1).loopback
    assert not Address("0.0.0.0", 1).loopback
    assert not Address("192.168.1.1", 1).loopback


def test_operators_secrets_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_KEY", "k1")
    assert settings.lookup("CHAT_KEY") == "k1"
    file = tmp_path / "key"
    file.write_text("k2\n")
    monkeypatch.setenv("OTHER_KEY_FILE", str(file))
    assert settings.lookup("OTHER_KEY") == "k2"
    monkeypatch.setenv("LOST_KEY_FILE", str(tmp_path / "none"))
    assert settings.lookup("LOST_KEY") is None
    assert settings.lookup("NO_SUCH_KEY_AT_ALL") is None
