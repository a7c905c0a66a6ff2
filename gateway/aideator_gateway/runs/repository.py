"""Where repositories may come from.

An allow-list of hosts, https only, and one strict spelling: that, and not a look at
addresses, is what keeps requests away from private networks and from git's other
transports.
"""

import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aideator_gateway.runs.problems import invalid_field

DEFAULT_HOSTS = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org")

_HTTPS = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?)"
    r"(?P<path>(?:/[A-Za-z0-9._~][A-Za-z0-9._~-]*){2,})/?",
    re.ASCII,
)
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,254}", re.ASCII)

_FIELD = "github_url"


def check_url(url: str, *, allow_hosts: Collection[str], allow_file: bool) -> str:
    """Return ``url`` in its one spelling, or raise the ``Problem`` that says what to do.

    Parameters
    ----------
    url
        ``https://host/owner/repository``; or ``file:///path`` where that is allowed.
    allow_hosts
        Host names, or ``host:port``, in lower case.
    allow_file
        Whether repositories on the gateway's own disk may be used.
    """
    if url.lower().startswith("file:"):
        return _check_file(url, allow_file=allow_file)
    match = _HTTPS.fullmatch(url)
    if match is None:
        raise invalid_field(
            _FIELD,
            "Use the form https://host/owner/repository, without user name, password, port, "
            "query, options or escapes.",
        )
    host = match["host"].lower()
    if host not in allow_hosts:
        raise invalid_field(
            _FIELD,
            f"Repositories from {host} are not allowed; allowed are "
            f"{', '.join(sorted(allow_hosts))}. The server's --allow-host adds one.",
        )
    if any(part in (".", "..") for part in match["path"].split("/")):
        raise invalid_field(_FIELD, "The path must not contain . or .. parts.")
    return f"https://{host}{match['path']}"


def _check_file(url: str, *, allow_file: bool) -> str:
    if not allow_file:
        raise invalid_field(
            _FIELD,
            "file:// repositories are not allowed on this server; start it with --allow-file, "
            "or use an https URL.",
        )
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise invalid_field(_FIELD, "Use the form file:///absolute/path.")
    return Path(path).as_uri()


def check_ref(ref: str) -> str:
    """Return ``ref`` if it can name a branch, a tag or a commit; else raise a ``Problem``."""
    if not _REF.fullmatch(ref) or ".." in ref or "@{" in ref or ref.endswith((".lock", "/", ".")):
        raise invalid_field("ref", "Name a branch, a tag or a full commit id.")
    return ref
