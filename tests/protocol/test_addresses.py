"""How repositories and model servers are named."""

import pytest

from aideator.protocol import check_ref, check_server, repository_url
from aideator.protocol.addresses import shown


@pytest.mark.parametrize(
    ("url", "spelling"),
    [
        ("https://Host.example/Owner/Repo.git/", "https://host.example/Owner/Repo.git"),
        ("https://host:8443/repository", "https://host:8443/repository"),
        ("https://host/~user/c++", "https://host/~user/c++"),
        ("https://host/organisation/my%20project/_git/a", None),
    ],
)
def test_an_address_has_one_spelling(url: str, spelling: str | None) -> None:
    assert str(repository_url(url)) == (spelling or url)


@pytest.mark.parametrize(
    "path",
    ["a/%2e%2e", "a/%2E", "a/b%2fc", "a/b%5cc", "a/b%00", "a/%0a", "a/%ff", "a/%", "a/-b", "a//b"],
)
def test_an_escape_cannot_say_what_may_not_be_said_plainly(path: str) -> None:
    with pytest.raises(ValueError, match="https://host/owner/repository"):
        repository_url(f"https://host/{path}")


def test_what_is_wrong_with_an_address_does_not_repeat_its_password() -> None:
    with pytest.raises(ValueError, match="without user name") as caught:
        repository_url("https://name:password@host/owner/repository")
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize("ref", ["main", "v1.0", "feature/x#2", "a" * 40])
def test_refs(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize("ref", ["", "-x", "a..b", "a.lock", "a/", "a@{1}", "a\n"])
def test_no_refs(ref: str) -> None:
    with pytest.raises(ValueError, match="branch, a tag"):
        check_ref(ref)


@pytest.mark.parametrize(
    "server", ["host:80", "ftp://host", "https://", "http://host:0", "http://h?x", "x"]
)
def test_no_servers(server: str) -> None:
    with pytest.raises(ValueError, match=r"http://HOST\[:PORT\]"):
        check_server(server)


@pytest.mark.parametrize(
    ("address", "as_shown"),
    [
        ("https://name:password@host/path", "https://***@host/path"),
        # None that could be asked, but somebody's password all the same.
        ("https://name:pass/word@host", "https://***@host"),
        ("https://name:pass@word@host:8080", "https://***@host:8080"),
        ("http://host:8080/path", "http://host:8080/path"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, as_shown: str) -> None:
    assert shown(address) == as_shown
