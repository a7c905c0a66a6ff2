"""Settings: flags, then variables, then defaults."""

from pathlib import Path

import pytest

from aideator_gateway.settings import Settings, SettingsError, is_loopback


def test_flags_go_before_variables_and_variables_before_defaults() -> None:
    environ = {"AIDEATOR_PORT": "9001", "AIDEATOR_MODEL": "from-variable"}
    settings = Settings.load({"port": "9002"}, environ)
    assert (settings.port, settings.model, settings.host) == (9002, "from-variable", "127.0.0.1")


def test_own_variables_go_before_anthropics() -> None:
    environ = {"ANTHROPIC_API_KEY": "theirs", "AIDEATOR_API_KEY": "ours"}
    loaded = Settings.load({}, environ)
    assert loaded.api_key is not None
    assert loaded.api_key.get_secret_value() == "ours"
    loaded = Settings.load({}, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"})
    assert loaded.base_url == "http://127.0.0.1:1"


def test_secrets_are_not_shown() -> None:
    settings = Settings.load({}, {"ANTHROPIC_API_KEY": "sk-secret", "AIDEATOR_TOKEN": "t-secret"})
    assert "secret" not in repr(settings)


def test_lists_come_with_commas_or_spaces() -> None:
    settings = Settings.load({}, {"AIDEATOR_ALLOW_HOST": "a.example, B.example"})
    assert {"a.example", "b.example", "github.com"} <= settings.repository_hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
def test_no_other_address_than_loopback_without_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="AIDEATOR_TOKEN"):
        Settings.load({"host": host}, {})
    assert Settings.load({"host": host}, {"AIDEATOR_TOKEN": "t"}).host == host


def test_an_unusable_value_names_its_source() -> None:
    with pytest.raises(SettingsError, match="AIDEATOR_PORT"):
        Settings.load({}, {"AIDEATOR_PORT": "many"})
    with pytest.raises(SettingsError, match="--port"):
        Settings.load({"port": "70000"}, {})


def test_data_goes_where_the_system_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Settings.load({}, {}).data_dir == Path("/data/aideator")


def test_loopback() -> None:
    assert is_loopback("127.0.0.9")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("localhost.example.com")
