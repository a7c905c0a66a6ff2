"""Where repositories may come from.

An allow-list of hosts, https only, and one strict spelling: that, and not a look at
addresses, is what keeps requests away from private networks and from git's other
transports.
"""

from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aideator.protocol import check_ref as protocol_check_ref
from aideator.protocol import repository_url
from aideator_gateway.addresses import DEFAULT_HOSTS
from aideator_gateway.runs.problems import invalid_field

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
    try:
        address = repository_url(url)
    except ValueError as error:
        raise invalid_field(_FIELD, f"{error}.") from None
    if address.host not in allow_hosts:
        raise invalid_field(
            _FIELD,
            f"Repositories from {address.host} are not allowed; allowed are "
            f"{', '.join(sorted(allow_hosts))}. The server's --allow-host adds one.",
        )
    if address.host in DEFAULT_HOSTS and len(address.parts) < 2:
        raise invalid_field(_FIELD, f"On {address.host} a repository has an owner and a name.")
    return str(address)


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
    try:
        return protocol_check_ref(ref)
    except ValueError as error:
        raise invalid_field("ref", f"{error}.") from None
