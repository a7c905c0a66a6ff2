"""A repository's address may lead elsewhere, but only to a host that is allowed itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.backends.git import fetch_commit
from aideator_gateway.backends.redirects import HOPS, settled
from aideator_gateway.runs.backend import BackendError
from tests.support.gateways import Gateway, serving
from tests.support.https_git import Certificate, GitServer

FIRST_REQUEST = "GET /user/repo/info/refs"


class Servers:
    """Two servers that repositories may come from, and one that is nobody's business."""

    def __init__(self, home: GitServer, other: GitServer, foreign: GitServer) -> None:
        self.home, self.other, self.foreign = home, other, foreign
        self.url = f"{home.url}/user/repo"
        self.hosts = {home.host, other.host}


@pytest.fixture
def servers(
    git_servers: list[GitServer], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Servers]:
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate.authority))
    for server in git_servers:
        server.asked.clear()
    yield Servers(*git_servers)
    # Other tests are served by them, too.
    for server in git_servers:
        server.moved.clear()


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    git_servers: list[GitServer],
    certificate: Certificate,
) -> Iterator[Gateway]:
    home, other, _ = git_servers
    flags = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000")
    with serving(
        tmp_path_factory.mktemp("gateway") / "data", *flags,
        "--allow-host", home.host, "--allow-host", other.host,
        GIT_SSL_CAINFO=str(certificate.authority),
    ) as gateway:  # fmt: skip
        yield gateway


def fetch(servers: Servers, tmp_path: Path) -> str:
    """Fetch the repository, and return a line of it."""
    tree = tmp_path / "tree"
    asyncio.run(
        fetch_commit(servers.url, None, hosts=servers.hosts, git_dir=tmp_path / "git", tree=tree)
    )
    return (tree / "README.md").read_text().splitlines()[0]


def refusal(servers: Servers, tmp_path: Path) -> str:
    """Fetch in vain, and return why."""
    with pytest.raises(BackendError) as caught:
        fetch(servers, tmp_path)
    assert caught.value.code == "repository_unreachable"
    assert servers.foreign.asked == []
    return caught.value.message


def test_a_run_follows_to_an_allowed_host(gateway: Gateway, servers: Servers) -> None:
    servers.home.moved[FIRST_REQUEST] = f"{servers.other.url}/user/repo/info/refs"
    run = gateway.finish(gateway.create(github_url=servers.url, variations=1))
    assert run["status"] == "completed", run
    assert servers.other.asked


def test_a_run_does_not_follow_to_another_host(gateway: Gateway, servers: Servers) -> None:
    servers.home.moved[FIRST_REQUEST] = f"{servers.foreign.url}/user/repo/info/refs"
    run = gateway.finish(gateway.create(github_url=servers.url, variations=1))
    assert (run["status"], run["code"]) == ("failed", "repository_unreachable")
    assert f"redirects to {servers.foreign.host}," in run["message"]
    assert f"--allow-host {servers.foreign.host} " in run["message"]
    assert servers.foreign.asked == []


def test_without_a_redirect_nothing_is_asked_twice(servers: Servers, tmp_path: Path) -> None:
    assert fetch(servers, tmp_path) == "# Sample"
    assert sum(asked.startswith(FIRST_REQUEST) for asked in servers.home.asked) == 1


def test_each_step_of_a_chain_is_looked_at(servers: Servers, tmp_path: Path) -> None:
    servers.home.moved[FIRST_REQUEST] = f"{servers.other.url}/old/repo/info/refs"
    servers.other.moved["GET /old/repo/"] = f"{servers.foreign.url}/user/repo/"
    assert f"redirects to {servers.foreign.host}," in refusal(servers, tmp_path)
    servers.other.moved["GET /old/repo/"] = f"{servers.other.url}/user/repo/"
    assert fetch(servers, tmp_path / "again") == "# Sample"


def test_a_redirect_in_the_middle_is_not_followed(servers: Servers, tmp_path: Path) -> None:
    servers.home.moved["POST /user/repo/"] = f"{servers.foreign.url}/user/repo/"
    assert "redirects in the middle of a fetch" in refusal(servers, tmp_path)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("http://{foreign}/user/repo/info/refs", "to http://{foreign}; only https is followed"),
        ("https://{home}/users/sign_in?from=", "redirects to {home}, but to no repository there"),
        ("https://{home}/user/%2e%2e/repo/info/refs", "https://host/owner/repository"),
        ("https://user:secret@{home}/user/repo/info/refs", "https://host/owner/repository"),
        ("https://{home}/user/repo/info/refs", f"redirects more than {HOPS} times"),
        ("https://[::1", "could not be reached"),
    ],
)
def test_what_is_no_way_to_a_repository_is_said(
    servers: Servers, tmp_path: Path, target: str, said: str
) -> None:
    hosts = {"home": servers.home.host, "foreign": servers.foreign.host}
    servers.home.moved[FIRST_REQUEST] = target.format(**hosts)
    assert said.format(**hosts) in refusal(servers, tmp_path)
    assert len(servers.home.asked) < 10


def test_an_address_that_leads_nowhere_else_stays_itself(servers: Servers) -> None:
    for path in ("user/repo", "user/none"):
        url = f"{servers.home.url}/{path}"
        assert asyncio.run(settled(url, servers.hosts)) == url


def test_a_server_whose_certificate_is_not_trusted_is_not_asked(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    with pytest.raises(BackendError, match=r"could not be reached: .*certificate"):
        asyncio.run(settled(servers.url, servers.hosts))
    assert servers.home.asked == []
