"""How repositories, their commits and model servers are named: one syntax for every way in.

One strict spelling, so that nothing in an address can be read as an option, as credentials
or as another of git's transports.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_CHARACTER = "[A-Za-z0-9._~+-]|%[0-9A-Fa-f]{2}"
_HTTPS = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?)"
    rf"(?P<path>(?:/(?!-)(?:{_CHARACTER})+)+)/?",
    re.ASCII,
)
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@#-]{0,254}", re.ASCII)

URL_FORM = (
    "Use the form https://host/owner/repository, without user name, password, query, options "
    "or dots as parts"
)


SERVER_FORM = "http://HOST[:PORT][/PATH] or https://…"

MODEL_HOST = "model"
"""What agents in containers call a model server that is reached through a service."""


@dataclass(frozen=True)
class RepositoryUrl:
    """The address of a repository that is fetched over https."""

    host: str
    """In lower case, with its port if it names one."""
    path: str
    """From the first slash on, without one at the end."""

    @property
    def parts(self) -> list[str]:
        """The path's parts, such as owner and repository."""
        return self.path.split("/")[1:]

    def __str__(self) -> str:
        return f"https://{self.host}{self.path}"


def repository_url(url: str) -> RepositoryUrl:
    """Read the address of a repository.

    Raises
    ------
    ValueError
        It is not in the one form that is understood. The text does not repeat the address,
        which may hold a password.
    """
    match = _HTTPS.fullmatch(url)
    if match is None or not all(_is_name(part) for part in match["path"].split("/")[1:]):
        raise ValueError(URL_FORM)
    return RepositoryUrl(match["host"].lower(), match["path"])


def _is_name(part: str) -> bool:
    # What is no UTF-8 comes out as U+FFFD, and is refused with what cannot be printed.
    name = unquote(part)
    return name.isprintable() and name not in (".", "..") and not set(name) & set("/\\\ufffd")


def check_ref(ref: str) -> str:
    """Return ``ref`` if it can name a branch, a tag or a commit.

    Raises
    ------
    ValueError
        It cannot.
    """
    if not _REF.fullmatch(ref) or ".." in ref or "@{" in ref or ref.endswith((".lock", "/", ".")):
        raise ValueError("Name a branch, a tag or a full commit id")
    return ref


def check_server(base_url: str) -> str:
    """Return ``base_url`` if it can be the address of a model's server.

    Raises
    ------
    ValueError
        It cannot.
    """
    if not is_server(base_url):
        raise ValueError(f"Use the form {SERVER_FORM}, such as http://127.0.0.1:11434")
    return base_url


def is_server(text: str) -> bool:
    """Return whether requests can be sent to ``text``: scheme, host and, if any, a real port."""
    if re.search(r"[\s\x00-\x1f\x7f?#]", text):
        return False
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        # A port that is none, or a bracket without its other.
        return False


def shown(address: str) -> str:
    """Return an address as it may be shown: without what may be a name and password in it."""
    # Up to the last @: where an address is none, a password may have any character.
    return re.sub(r"//.*@", "//***@", address)
