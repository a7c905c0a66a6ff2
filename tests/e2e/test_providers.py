"""Model servers by name: each variation asks the one that its condition names."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Model as Named
from aideator_gateway.scripted_model.script import Reply, Text, TokenCounts
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.forked import run, serving
from tests.support.gateways import Gateway

OWN_KEY = "sk-own-0123456789abcdef"
OTHER_KEY = "sk-other-0123456789abcdef"


@contextmanager
def model() -> Iterator[ScriptedModel]:
    said: list[Reply] = [[Named("big"), Text("Done."), TokenCounts(500_000, 0)]] * 3
    with ScriptedModel(Script({}, default=said)) as server:
        yield server


@contextmanager
def gateway_with(
    directory: Path, own: ScriptedModel, tables: str, *flags: str, **settings: str
) -> Iterator[Gateway]:
    """Serve with a default model server, and those of a configuration file."""
    (directory / "data").mkdir()
    (directory / "data" / "config.toml").write_text(tables)
    with serving(
        directory / "data", "--backend", "local", "--allow-file", "--base-url", own.base_url,
        *flags, ANTHROPIC_API_KEY=OWN_KEY, **settings,
    ) as gateway:  # fmt: skip
        yield gateway


def table(name: str, base_url: str, *lines: str) -> str:
    return "\n".join([f"[providers.{name}]", f'base_url = "{base_url}"', *lines, ""])


def seen_by(server: ScriptedModel) -> set[tuple[int | None, str]]:
    """Return which variations asked a server, and with which key."""
    sent = ((r.variation, {**r.headers}) for r in server.requests)
    return {
        (number, headers.get("x-api-key") or headers["authorization"].removeprefix("Bearer "))
        for number, headers in sent
    }


def tools_of(server: ScriptedModel) -> set[str | None]:
    """Return the kinds of editor tool that a server was asked with."""
    tools = (tool for request in server.requests for tool in request.body["tools"])
    return {tool.get("type") for tool in tools if "edit" in tool["name"]}


def test_each_variation_asks_its_own_server_with_its_own_key(
    shared_repository: Path, tmp_path: Path
) -> None:
    prices = "prices.big = { input = 2.0, output = 4.0, cache_write = 0.0, cache_read = 0.0 }"
    with model() as own, model() as other:
        tables = table(
            "other", other.base_url, 'api_key_env = "OTHER_KEY"', 'editor_tool = "plain"', prices
        )
        with gateway_with(tmp_path, own, tables, OTHER_KEY=OTHER_KEY) as gateway:
            ready = gateway.http.get("/readyz").json()
            assert ready["providers"] == {"default": None, "other": None}
            conditions = [{}, {"provider": "other", "model": "big"}, {"provider": "default"}]
            run_id = gateway.create(github_url=shared_repository.as_uri(), conditions=conditions)
            ended = gateway.finish(run_id)
            everything = gateway.http.get(f"/runs/{run_id}").text
            for number in (1, 2, 3):
                path = f"/runs/{run_id}/variations/{number}/transcript"
                everything += gateway.http.get(path).text
        assert [one["status"] for one in ended["variations"]] == ["completed"] * 3
        assert seen_by(own) == {(1, OWN_KEY), (3, OWN_KEY)}
        assert seen_by(other) == {(2, OTHER_KEY)}
        assert tools_of(own) != tools_of(other)
    providers = [one["condition"].get("provider") for one in ended["variations"]]
    assert providers == [None, "other", "default"]
    # Of the three, only the table knows what the second one's model costs.
    assert [one["usage"]["cost_usd"] for one in ended["variations"]] == [None, 1.0, None]
    everything += gateway.log.read_text()
    assert OTHER_KEY not in everything
    assert OWN_KEY not in everything


def test_a_provider_without_its_key_fails_its_own_variations_alone(
    shared_repository: Path, tmp_path: Path
) -> None:
    problem = "the environment variable OTHER_KEY holds no key"
    with model() as own, model() as other:
        tables = table("other", other.base_url, 'api_key_env = "OTHER_KEY"')
        with gateway_with(tmp_path, own, tables) as gateway:
            # At once, not only when somebody asks.
            assert gateway.http.get("/readyz").json()["providers"]["other"] == problem
            assert f"the model provider other cannot be used: {problem}" in gateway.log.read_text()
            url = shared_repository.as_uri()
            ended = gateway.finish(
                gateway.create(github_url=url, conditions=[{"provider": "other"}, {}])
            )
            first, second = ended["variations"]
            assert (first["status"], first["code"]) == ("failed", "missing_api_key")
            assert problem in first["message"]
            assert second["status"] == "completed"
            # Where no variation could ask, nothing is fetched.
            alone = gateway.finish(
                gateway.create(github_url=url, conditions=[{"provider": "other"}])
            )
            assert (alone["code"], alone["commit"]) == ("missing_api_key", None)
            assert problem in alone["message"]
        assert other.requests == []


@pytest.mark.parametrize("key", ["", OWN_KEY])
def test_a_named_provider_needs_no_default_one(
    shared_repository: Path, tmp_path: Path, key: str
) -> None:
    """``key``: of the default provider, which is Anthropic's own server."""
    with model() as other:
        (tmp_path / "config.toml").write_text(table("other", other.base_url))
        with serving(
            tmp_path / "data", "--backend", "local", "--allow-file",
            "--config-file", str(tmp_path / "config.toml"), ANTHROPIC_API_KEY=key,
        ) as gateway:  # fmt: skip
            ended = gateway.finish(
                gateway.create(
                    github_url=shared_repository.as_uri(), conditions=[{"provider": "other"}]
                )
            )
            assert ended["status"] == "completed"
            known = gateway.http.get("/readyz").json()["providers"]
    assert seen_by(other) == {(1, "none")}
    assert (known["default"] is None) is bool(key)


def test_an_unknown_provider_is_refused_at_its_field(
    shared_repository: Path, tmp_path: Path
) -> None:
    with model() as own:
        tables = table("other", own.base_url) + table("third", own.base_url)
        with gateway_with(tmp_path, own, tables) as gateway:
            body = {
                "github_url": shared_repository.as_uri(),
                "prompt": "Do it.",
                "conditions": [{"provider": "other"}, {"provider": "nobody"}],
            }
            answer = gateway.http.post("/runs", json=body)
            assert answer.status_code == 422
            (error,) = answer.json()["errors"]
            assert error["field"] == "conditions.1.provider"
            assert error["message"].endswith("there is default, other, third.")
            # The same at the shell.
            done = run(
                "run", str(shared_repository), "Do it.", "--condition", "provider=nobody",
                "--data-dir", str(gateway.data_dir), cwd=tmp_path, expect=1,
            )  # fmt: skip
            assert "--condition 1: provider: There is no provider 'nobody'" in done.stderr.decode()
        assert own.requests == []


def test_the_demo_asks_no_provider(shared_repository: Path, tmp_path: Path) -> None:
    with model() as own, gateway_with(tmp_path, own, table("other", own.base_url), "--demo") as g:
        assert g.http.get("/readyz").json()["providers"] == {"default": None}
        body = {
            "github_url": shared_repository.as_uri(),
            "prompt": "Do it.",
            "conditions": [{"provider": "other"}],
        }
        answer = g.http.post("/runs", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert "demo asks no provider" in answer.json()["detail"]


def test_config_shows_providers_and_no_key(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tables = table("other", "http://127.0.0.1:1", 'api_key_env = "OTHER_KEY"')
    (tmp_path / "data" / "config.toml").write_text(tables)
    said = run(
        "config", "--json", "--data-dir", "data", cwd=tmp_path, OTHER_KEY=OTHER_KEY
    )  # fmt: skip
    other = json.loads(said.stdout)["providers"]["other"]
    assert (other["api_key_env"], other["problem"]) == ("OTHER_KEY", None)
    for_people = run("config", "--data-dir", "data", cwd=tmp_path).stdout.decode()
    assert "providers.other" in for_people
    assert "holds no key" in " ".join(for_people.split())
    assert OTHER_KEY.encode() not in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[providers.x", "is not TOML: "),
        ("port = 1\n", "'port' is not known; the file holds tables [providers.NAME]"),
        ("[providers.default]\n", "providers.default: This is the name"),
        ('[providers."A b"]\n', "Use lower-case letters"),
        ('[providers.x]\napi_key = "sk-secret"\n', "providers.x.api_key: This field is not known"),
        ('[providers.x]\napi_key_env = "sk-secret"\n', "no key belongs in this file"),
        ('[providers.x]\nbase_url = "ftp://x"\n', "providers.x: base_url: use the form"),
        ('[providers.x]\nkind = "bedrock"\n', "needs a region"),
        ('[providers.x]\nkind = "vertex"\nregion = "r"\n', "needs a project"),
        ("[providers.x]\nmax_concurrent = 0\n", "providers.x.max_concurrent: "),
        ("[providers.x]\nprices.m = { input = 1.0 }\n", "providers.x.prices.m.output: "),
        ('providers = "x"\n', "providers: "),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)
    done = run("config", "--config-file", str(file), cwd=tmp_path, expect=1)
    (line,) = done.stderr.decode().splitlines()
    assert f"--config-file: {file}" in line
    assert said in line
    assert "sk-secret" not in line


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    done = run("config", cwd=tmp_path, expect=1, AIDEATOR_CONFIG_FILE="missing.toml")
    (line,) = done.stderr.decode().splitlines()
    assert "AIDEATOR_CONFIG_FILE: " in line
    assert "missing.toml cannot be read (No such file or directory)" in line
