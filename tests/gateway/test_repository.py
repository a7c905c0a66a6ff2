"""Where repositories may come from."""

import pytest

from aideator_gateway.addresses import DEFAULT_HOSTS
from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.repository import check_ref, check_url

ACCEPTED = {
    "https://github.com/user/repo": "https://github.com/user/repo",
    "https://github.com/user/repo.git": "https://github.com/user/repo.git",
    "https://github.com/user/repo/": "https://github.com/user/repo",
    "https://GitHub.com/User/Repo": "https://github.com/User/Repo",
    "https://gitlab.com/group/sub/repo": "https://gitlab.com/group/sub/repo",
    "https://codeberg.org/~u/r_1.x": "https://codeberg.org/~u/r_1.x",
}

REFUSED = [
    "",
    "github.com/user/repo",
    "http://github.com/user/repo",
    "git://github.com/user/repo",
    "ssh://git@github.com/user/repo",
    "git@github.com:user/repo",
    "github.com:user/repo",
    "ext::sh -c touch% /tmp/x",
    "ext::https://github.com/user/repo",
    "--upload-pack=touch /tmp/x",
    "-oProxyCommand=x",
    "https://user:secret@github.com/user/repo",
    "https://user@github.com/user/repo",
    "https://github.com@evil.example/user/repo",
    "https://github.com\\@evil.example/user/repo",
    "https://github.com:443/user/repo",
    "https://github.com:8443/user/repo",
    "https://github.com./user/repo",
    "https://github.com.evil.example/user/repo",
    "https://evil.example/github.com/repo",
    "https://evilgithub.com/user/repo",
    "https://githüb.com/user/repo",
    "https://\u0261ithub.com/user/repo",  # a g of another script
    "https://github。com/user/repo",
    "https://github%2ecom/user/repo",
    "https://github.com/user/repo?x=1",
    "https://github.com/user/repo#frag",
    "https://github.com/user/%2e%2e/repo",
    "https://github.com/user/../repo",
    "https://github.com/user/-repo",
    "https://github.com/user",
    "https://github.com/",
    "https://github.com//user/repo",
    "https://github.com/user/repo\n",
    " https://github.com/user/repo",
    "https://github.com/user/re po",
    "https://github.com/user/repo\x00",
    "https://127.0.0.1/user/repo",
    "https://[::1]/user/repo",
    "https://localhost/user/repo",
    "https://2130706433/user/repo",
    "https://169.254.169.254/latest/meta-data",
    "file:///etc",
    "FILE:///etc",
    "/etc",
    "../repo",
]


@pytest.mark.parametrize(("url", "spelling"), ACCEPTED.items())
def test_public_hosts_are_accepted_in_one_spelling(url: str, spelling: str) -> None:
    assert check_url(url, allow_hosts=DEFAULT_HOSTS, allow_file=False) == spelling


@pytest.mark.parametrize("url", REFUSED)
def test_everything_else_is_refused_and_the_field_named(url: str) -> None:
    with pytest.raises(Problem) as caught:
        check_url(url, allow_hosts=DEFAULT_HOSTS, allow_file=False)
    assert caught.value.code == "invalid_request"
    assert caught.value.errors[0].field == "github_url"


def test_an_added_host_is_accepted_with_its_port_only() -> None:
    hosts = {"git.example.com:8443"}
    url = "https://git.example.com:8443/a/b"
    assert check_url(url, allow_hosts=hosts, allow_file=False) == url
    with pytest.raises(Problem, match=r"git\.example\.com are not allowed"):
        check_url("https://git.example.com/a/b", allow_hosts=hosts, allow_file=False)


def test_files_are_accepted_where_allowed() -> None:
    assert check_url("file:///srv/a%20b", allow_hosts=(), allow_file=True) == "file:///srv/a%20b"
    for url in ("file://host/srv/x", "file:relative", "file:///srv/x?y", "file:///srv/%00"):
        with pytest.raises(Problem, match="file:///absolute/path"):
            check_url(url, allow_hosts=(), allow_file=True)


@pytest.mark.parametrize("ref", ["main", "v1.2.3", "feature/x", "a" * 40])
def test_refs_are_accepted(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize("ref", ["-x", "--upload-pack=x", "a..b", "a b", "x@{1}", "", "a:b", "+a"])
def test_options_and_ranges_are_no_refs(ref: str) -> None:
    with pytest.raises(Problem):
        check_ref(ref)
