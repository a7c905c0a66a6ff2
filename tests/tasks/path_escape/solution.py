"""Decode once, resolve links, and ask whether the result lies below the resolved root."""

from tests.tasks.steps import create, files, turn, view

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the module.", view("static.py")),
    turn(
        "It filters before it decodes, compares a prefix without a separator, and follows links. "
        "Names cannot be filtered into safety: what counts is where the path ends up. So I "
        "decode, resolve and then ask whether the root is a parent.",
        create(
            "static.py",
            '"""Find the file for a request\'s path."""\n\n'
            "from pathlib import Path\n"
            "from urllib.parse import unquote\n\n\n"
            "def find(root, url_path):\n"
            '    """Return the path of the file to serve, or None if there is none.\n\n'
            "    root: the directory of public files\n"
            '    url_path: the path of the URL, such as "/css/site.css"; may be percent-encoded\n'
            '    """\n'
            "    top = Path(root).resolve()\n"
            "    try:\n"
            '        path = (top / unquote(url_path).lstrip("/")).resolve()\n'
            "        inside = path.is_relative_to(top) and path.is_file()\n"
            "    except (OSError, ValueError):\n"
            "        return None\n"
            "    return str(path) if inside else None\n",
        ),
    ),
    turn("I read it again.", view("static.py")),
    turn("`find` resolves first and then compares; a path that cannot be resolved is None."),
]
