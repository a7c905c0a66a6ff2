"""Where a repository's address leads: redirects are followed to allowed hosts only.

Git follows a redirect to any host or to none, so its own following is off, and each step is
looked at here.
"""

import asyncio
import os
import ssl
from collections.abc import Collection

import httpx

from aideator.protocol import ErrorCode
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.repository import check_url

HOPS = 5
SECONDS = 20.0

_FIRST_REQUEST = "/info/refs?service=git-upload-pack"
"""What git asks for first; a server that redirects does it here."""

_LIKE_GIT = {
    # Some servers answer browsers otherwise than git.
    "User-Agent": "git/2 (aideator)",
    "Accept": "*/*",
    "Git-Protocol": "version=2",
}


async def settled(url: str, hosts: Collection[str]) -> str:
    """Return the address that a repository's address leads to; itself if it does not redirect.

    Parameters
    ----------
    url
        An https address that ``repository.check_url`` let through.
    hosts
        Hosts that repositories may come from, with their port unless it is 443.

    Raises
    ------
    BackendError
        If it leads to another host, too far, or cannot be asked.
    """
    try:
        async with asyncio.timeout(SECONDS), await _client() as client:
            target = url
            for _ in range(HOPS + 1):
                location = await _location(client, target)
                if location is None:
                    return target
                target = _allowed(target, location, hosts)
    except TimeoutError:
        raise _refused(f"{url} did not answer within {SECONDS:.0f} s.") from None
    # A proxy that httpx cannot use is a ValueError or an ImportError.
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        reason = str(error) or type(error).__name__
        raise _refused(f"{url} could not be reached: {reason}") from None
    raise _refused(f"{url} redirects more than {HOPS} times.")


async def _client() -> httpx.AsyncClient:
    """Return a client with the proxies and the certificates that git would use."""
    # Hundreds of certificates are read: not in the loop that serves everybody.
    trust = await asyncio.to_thread(_trust)
    return httpx.AsyncClient(verify=trust, headers=_LIKE_GIT, timeout=SECONDS)


def _trust() -> ssl.SSLContext:
    file, directory = os.environ.get("GIT_SSL_CAINFO"), os.environ.get("GIT_SSL_CAPATH")
    if file or directory:
        return ssl.create_default_context(cafile=file, capath=directory)
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


async def _location(client: httpx.AsyncClient, url: str) -> httpx.URL | None:
    """Return where git's first request is redirected to; the answer's body is not read."""
    async with client.stream("GET", url + _FIRST_REQUEST) as answer:
        if not answer.has_redirect_location:
            return None
        return answer.url.join(answer.headers["location"])


def _allowed(url: str, location: httpx.URL, hosts: Collection[str]) -> str:
    """Return the repository that ``url`` was redirected to, if it may be asked."""
    # In lower case, and without the port if it is the scheme's own.
    host = location.netloc.decode("ascii")
    if location.scheme != "https":
        raise _refused(f"{url} redirects to {location.scheme}://{host}; only https is followed.")
    if host not in hosts:
        raise _refused(
            f"{url} redirects to {host}, and repositories from there are not allowed. The "
            f"server's --allow-host {host} adds it."
        )
    target = str(location).removesuffix(_FIRST_REQUEST)
    if target == str(location):
        raise _refused(f"{url} redirects to {host}, but to no repository there.")
    try:
        return check_url(target, allow_hosts=hosts, allow_file=False)
    except Problem as error:
        raise _refused(f"{url} redirects to {target}. {error}") from None


def _refused(message: str) -> BackendError:
    return BackendError(ErrorCode.REPOSITORY_UNREACHABLE, message)
