"""Find the file for a request's path."""

import os
from urllib.parse import unquote


def find(root, url_path):
    """Return the path of the file to serve, or None if there is none.

    root: the directory of public files
    url_path: the path of the URL, such as "/css/site.css"; may be percent-encoded
    """
    name = url_path.replace("..", "").lstrip("/")
    path = os.path.join(root, unquote(name))
    if path.startswith(root) and os.path.isfile(path):
        return path
    return None
