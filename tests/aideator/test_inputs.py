"""Bad input that can be told before anything is asked of an engine: one line that helps."""

import asyncio
import json
from typing import Any, cast

import dagger
import pytest
from dagger.mod._exceptions import FunctionError

from aideator.main import Aideator

URL = "https://host.invalid/owner/repository"
SOURCE = object()
HOT = json.dumps({"temperature": 3})

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (arguments, the argument named, a part of the remedy)
    "no variation": ({"variations": 0}, "variations", "between 1 and 5"),
    "six variations": ({"variations": 6}, "variations", "between 1 and 5"),
    "too few conditions": (
        {"variations": 3, "conditions": ["{}", "{}"]}, "variations", "leave variations out",
    ),
    "six conditions": ({"conditions": ["{}"] * 6}, "variations", "between 1 and 5"),
    "repo and source": ({"repo": URL}, "repo", "one of them"),
    "neither of them": ({"source": None}, "repo", "one of them"),
    "ref with source": ({"ref": "main"}, "ref", "belongs to repo"),
    "empty prompt": ({"prompt": " "}, "prompt", "say what"),
    "too hot": ({"conditions": [HOT]}, "conditions.temperature", "less than or equal to 1"),
    "unknown condition": ({"conditions": ['{"heat": 1}']}, "conditions.heat", "known are label, "),
    "no JSON": ({"conditions": ["hot"]}, "conditions", "Invalid JSON"),
    "unknown style": (
        {"conditions": [json.dumps({"style": "tiny"})]}, "conditions.style", "use smallest, ",
    ),
    "no turns": ({"limits": json.dumps({"max_turns": 0})}, "limits.max_turns", "greater than"),
    "run id": ({"run_id": "../x"}, "run_id", "letters"),
    "attempt": ({"attempt": 0}, "attempt", "below 1"),
    "events": ({"events": "xml"}, "events", "json"),
    "empty check": ({"check": ""}, "check", "leave it out"),
    "empty set-up": ({"setup": " "}, "setup", "leave it out"),
    "check time": ({"check": "true", "check_seconds": 0}, "check_seconds", "between 1"),
    "set-up time": ({"setup": "true", "setup_seconds": 10**9}, "setup_seconds", "between 1"),
    "check image alone": ({"check_image": "x"}, "check_image", "--check"),
}  # fmt: skip

REPOSITORIES = {
    "another transport": "ext::sh -c id",
    "an option": "--upload-pack=id",
    "scp form": "git@host:owner/repository",
    "ssh": "ssh://git@host/owner/repository",
    "no https": "http://host/owner/repository",
    "a file": "file:///etc",
    "a path": "/etc",
    "a password": "https://name:password@host/owner/repository",
    "a query": "https://host/owner/repository?x=y",
    "a fragment": "https://host/owner/repository#main",
    "a way up": "https://host/owner/../repository",
    "an option as a part": "https://host/owner/--upload-pack=id",
    "a line break": "https://host/owner/repository\n",
    "no repository": "https://host",
    "nothing": "",
}

REFS = ("--upload-pack=id", "-x", "", "a b", "a..b", "a@{1}", "main\n", "a:b", "^main", "a*")

SETTINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no key": ({"base_url": None}, "api_key", "env://ANTHROPIC_API_KEY"),
    "no scheme": ({"base_url": "host:80"}, "base_url", "http://HOST"),
    "credentials": ({"base_url": "https://a:b@host"}, "base_url", "would show the password"),
    "editor tool": ({"editor_tool": "vi"}, "editor_tool", "native"),
    "no requests": ({"max_concurrent": 0}, "max_concurrent", "greater than or equal to 1"),
}


def told(settings: dict[str, Any], given: dict[str, Any]) -> str:
    """Return what a call of ``run_variations`` says, which reaches no engine."""
    main = Aideator(**{"base_url": "http://host:80", **settings})
    if "repo" not in given:
        given = {"source": cast("dagger.Directory", SOURCE), **given}
    with pytest.raises(FunctionError) as caught:
        asyncio.run(main.run_variations(**{"prompt": "Do it.", **given}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("given", "argument", "remedy"), CASES.values(), ids=CASES)
def test_arguments(given: dict[str, Any], argument: str, remedy: str) -> None:
    if given.get("repo"):
        given = {**given, "source": SOURCE}
    line = told({}, given)
    assert line.startswith(f"{argument}: ")
    assert remedy in line


@pytest.mark.parametrize(("settings", "argument", "remedy"), SETTINGS.values(), ids=SETTINGS)
def test_settings(settings: dict[str, Any], argument: str, remedy: str) -> None:
    line = told(settings, {})
    assert line.startswith(f"{argument}: ")
    assert remedy in line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"conditions": ["{}", '{"provider": "local"}']},
            "provider: There is no provider 'local'; there is default. Add one by with-provider.",
        ),
        ({"providers": "{}"}, "providers: they are those of a broker; give its run_key."),
    ],
)
def test_model_servers_that_are_not_there(given: dict[str, Any], said: str) -> None:
    assert told({}, given) == said


SERVERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "the name of the unnamed one": ({"name": "default"}, "name", "is the unnamed one"),
    "no name": ({"name": ""}, "name", "lower-case letters"),
    "an upper-case name": ({"name": "Mine"}, "name", "lower-case letters"),
    "a name that is taken": ({"name": "taken"}, "name", "use another one"),
    "no scheme": ({"base_url": "host:80"}, "base_url", "http://HOST"),
    "a password": ({"base_url": "https://a:b@host"}, "base_url", "would show the password"),
    "an address and a service": ({"service": SOURCE}, "service", "leave out base_url"),
    "another kind": ({"kind": "openai"}, "kind", "'anthropic', 'bedrock' or 'vertex'"),
    "no region": ({"kind": "bedrock"}, "region", "bedrock needs one"),
    "no project": ({"kind": "vertex", "region": "r"}, "project", "vertex needs one"),
    "no key": ({"base_url": None}, "api_key", "or an auth_token"),
    "no credentials of AWS": (
        {"kind": "bedrock", "region": "r"}, "credentials", "or an api_key of Bedrock's",
    ),
    "no credentials of Google's": (
        {"kind": "vertex", "region": "r", "project": "p"}, "credentials", "as auth_token",
    ),
    "credentials for no cloud": ({"credentials": SOURCE}, "credentials", "bedrock or vertex"),
    "a second file of AWS's": (
        {"kind": "bedrock", "region": "r", "credentials": SOURCE}, "credentials", "only one",
    ),
    "editor tool": ({"editor_tool": "vi"}, "editor_tool", "'native' or 'plain'"),
    "prices that are no JSON": ({"prices": "1"}, "prices", "an object"),
    "half a price": ({"prices": '{"m": {"input": 1}}'}, "prices.m.output", "required"),
    "no requests": ({"max_concurrent": 0}, "max_concurrent", "greater than or equal to 1"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "argument", "remedy"), SERVERS.values(), ids=SERVERS)
def test_model_servers_by_name(given: dict[str, Any], argument: str, remedy: str) -> None:
    secret = cast("dagger.Secret", SOURCE)
    main = Aideator(base_url="http://host:80").with_provider(
        name="taken", kind="bedrock", region="r", credentials=secret
    )
    with pytest.raises(FunctionError) as caught:
        main.with_provider(**{"name": "mine", "base_url": "http://host:80", **given})
    assert str(caught.value).startswith(f"{argument}: ")
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_asks_only_the_servers_that_conditions_name() -> None:
    unasked = Aideator().with_provider(name="mine", base_url="http://host:80")
    # The unnamed one has no key, and needs none unless it is asked.
    for conditions, said in (
        (['{"provider": "mine"}', "{}"], "api_key: there is none"),
        (['{"provider": "mine"}', '{"provider": "default"}'], "api_key: there is none"),
        (['{"provider": "mine"}'], "prompt: it is empty"),
    ):
        given: dict[str, Any] = {"source": SOURCE, "prompt": "", "conditions": conditions}
        with pytest.raises(FunctionError, match=said):
            asyncio.run(unasked.run_variations(**given))


def test_who_has_a_broker_names_its_servers_and_adds_none() -> None:
    main = Aideator(base_url="http://host:80").with_provider(name="x", base_url="http://host:80")
    given: dict[str, Any] = {"source": SOURCE, "prompt": "x", "run_key": SOURCE, "run_id": "r"}
    with pytest.raises(FunctionError, match=r"^run_key: .* leave out with-provider"):
        asyncio.run(main.run_variations(**given))


@pytest.mark.parametrize("url", REPOSITORIES.values(), ids=REPOSITORIES)
def test_urls_that_are_no_plain_https(url: str) -> None:
    line = told({}, {"repo": url})
    assert line.startswith("repo: ")
    assert "https://host/owner/repository" in line
    assert "password@" not in line


@pytest.mark.parametrize("ref", REFS)
def test_refs_that_cannot_be_one(ref: str) -> None:
    assert told({}, {"repo": URL, "ref": ref}).startswith("ref: ")


def test_conditions_and_limits_are_checked_when_they_are_given() -> None:
    main = Aideator(base_url="http://host:80")
    with pytest.raises(FunctionError, match=r"^effort: .*'low', 'medium'"):
        main.with_condition(effort="huge")
    with pytest.raises(FunctionError, match=r"^max_seconds: .*greater than 0"):
        main.with_limits(max_seconds=0)
    for number in range(5):
        main.with_condition(label=str(number))
    with pytest.raises(FunctionError, match=r"^with_condition: .*at most 5"):
        main.with_condition(label="6")


@pytest.mark.parametrize(
    ("settings", "given", "code"),
    [
        ({"base_url": None}, {}, "missing_api_key"),
        ({}, {"prompt": " "}, "invalid_request"),
        ({}, {"repo": "/etc"}, "invalid_request"),
    ],
)
def test_errors_carry_a_code_for_programs(
    settings: dict[str, Any], given: dict[str, Any], code: str
) -> None:
    main = Aideator(**{"base_url": "http://host:80", **settings})
    if "repo" not in given:
        given = {"source": cast("dagger.Directory", SOURCE), **given}
    with pytest.raises(FunctionError) as caught:
        asyncio.run(main.run_variations(**{"prompt": "Do it.", **given}))
    assert caught.value.extra == {"code": code}
