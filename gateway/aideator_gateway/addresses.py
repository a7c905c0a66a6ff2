"""How addresses are written that settings take: as they arrive, so that they can match."""

import ipaddress
import re

DEFAULT_HOSTS = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org")
"""Where repositories may come from everywhere."""

_DEFAULT_PORTS = {"http": "80", "https": "443"}

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:]*)(?::(?P<port>.*))?")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


def check_origin(text: str) -> str:
    """Return the origin of a web page, as browsers send it.

    Raises
    ------
    ValueError
        If no browser sends it so.
    """
    if text == "*":
        raise ValueError(
            "'*' would let every page of the web start agents; name each origin, such as "
            "http://localhost:5173"
        )
    scheme, separator, authority = text.partition("://")
    host, port = _split(authority)
    if not (
        separator
        and _SCHEME.fullmatch(scheme)
        and _is_host(host)
        and host == _as_sent(host)
        and _is_port(port)
        and port != _DEFAULT_PORTS.get(scheme, "none")
    ):
        raise ValueError(
            f"{text!r:.200} is no origin as browsers send it; use scheme://host[:port], such as "
            "http://localhost:5173: in lower case, without the scheme's own port, and with "
            "nothing behind it, not even a slash"
        )
    return text


def check_host(text: str) -> str:
    """Return a name from a Host header, without a port; case does not matter.

    Raises
    ------
    ValueError
        If no Host header has such a name.
    """
    if not _is_host(text.lower()):
        raise ValueError(
            f"{text!r:.200} is no host name; use the name alone, such as ideas.example, without "
            "scheme, port and path"
        )
    return text


def check_repository_host(text: str) -> str:
    """Return the host of repository URLs, with its port where it is another than https has.

    Raises
    ------
    ValueError
        If no URL has such a host.
    """
    host, port = _split(text.lower())
    if not (_NAME.fullmatch(host) and _is_port(port)):
        raise ValueError(
            f"{text!r:.200} is no host; use host[:port], such as git.example, without scheme and "
            "path"
        )
    return text


def _split(authority: str) -> tuple[str, str | None]:
    """Return host and port as they stand there; no port is ``None``."""
    match = _AUTHORITY.fullmatch(authority)
    return (match["host"], match["port"]) if match else ("", None)


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return _NAME.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _as_sent(host: str) -> str | None:
    """Return the one spelling of a host that browsers use, ``None`` if they never do."""
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        if host.rpartition(".")[2].isdigit():
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        return None
    return host


def _is_port(port: str | None) -> bool:
    return port is None or (_PORT.fullmatch(port) is not None and int(port) < 65536)
