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


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400"])
def test_numbers_are_finite(value: str) -> None:
    with pytest.raises(SettingsError, match=r"AIDEATOR_MAX_RUN_COST_USD: .*finite"):
        Settings.load({}, {"AIDEATOR_MAX_RUN_COST_USD": value})
    with pytest.raises(SettingsError, match=r"--demo-tokens-per-second: .*finite"):
        Settings.load({"demo_tokens_per_second": value}, {})


@pytest.mark.parametrize(
    "origin",
    [
        "localhost:5173",
        "http://localhost:5173/",
        "http://localhost/page",
        "http://Localhost:5173",
        "HTTP://localhost",
        "http://localhost:80",
        "https://app.example:443",
        "http://app.example:0443",
        "http://app.example:65536",
        "http://user@app.example",
        "http://app.example?x",
        "http://127.1",
        "http://[0:0::1]",
        "http://",
        "file://",
        "null",
        "*",
        "",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match=r"--allow-origin: .*http://localhost:5173"):
        Settings.load({"allow_origin": ("http://a.example", origin)}, {})


def test_a_variable_with_such_an_origin_is_named() -> None:
    with pytest.raises(SettingsError, match="AIDEATOR_ALLOW_ORIGIN: 'localhost:1' is no origin"):
        Settings.load({}, {"AIDEATOR_ALLOW_ORIGIN": "http://a.example, localhost:1"})


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:5173",
        "https://app.example",
        "https://app.example:80",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "tauri://localhost",
        "chrome-extension://abcdefgh",
    ],
)
def test_an_origin_as_browsers_send_it_is_taken(origin: str) -> None:
    assert Settings.load({"allow_origin": (origin,)}, {}).allow_origin == (origin,)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:11434",
        "//localhost",
        "ftp://x.example",
        "http://",
        "http:///v1",
        "http://:80",
        "http://h.example:many",
        "http://h.example:65536",
        "http://h.example/?key=1",
        "http://h.example/a b",
        "",
    ],
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"--base-url: .*http://HOST\[:PORT\]\[/PATH\]"):
        Settings.load({"base_url": url}, {})


def test_a_base_url_that_is_refused_does_not_show_its_password() -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_BASE_URL") as caught:
        Settings.load({}, {"ANTHROPIC_BASE_URL": "ftp://user:hidden@h.example"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:11434", "https://h.example/v1/", "http://u:p@h.example", "http://[::1]:80"],
)
def test_a_base_url_is_taken_as_it_is(url: str) -> None:
    assert Settings.load({"base_url": url}, {}).base_url == url


@pytest.mark.parametrize("name", ["trusted_host", "allow_host"])
@pytest.mark.parametrize("host", ["https://h.example", "h.example/a", "h example", ""])
def test_a_host_that_cannot_match_is_refused(name: str, host: str) -> None:
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')}: .*is no host"):
        Settings.load({name: (host,)}, {})


def test_a_trusted_host_has_no_port_and_a_repositorys_host_may() -> None:
    with pytest.raises(SettingsError, match="without scheme, port and path"):
        Settings.load({"trusted_host": ("h.example:80",)}, {})
    assert (
        "h.example:8443" in Settings.load({"allow_host": ("H.example:8443",)}, {}).repository_hosts
    )


def test_data_goes_where_the_system_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Settings.load({}, {}).data_dir == Path("/data/aideator")


def test_loopback() -> None:
    assert is_loopback("127.0.0.9")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("localhost.example.com")
