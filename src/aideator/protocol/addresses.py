"""What the address of a model's server has to be."""

import re
from urllib.parse import urlsplit

FORM = "http://HOST[:PORT][/PATH] or https://…"


def is_server_address(text: str) -> bool:
    """Return whether requests can be sent to ``text``: scheme, host and, if any, a real port."""
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        return False
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        # A port that is none, or a bracket without its other.
        return False


def shown(address: str) -> str:
    """Return an address as it may be shown: without a name and password in it."""
    return re.sub(r"//[^/]*@", "//***@", address)
