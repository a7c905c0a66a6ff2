"""Nothing outside can be found, by no spelling; everything inside still can."""

import importlib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, sys.argv[1])
static = importlib.import_module("static")

with tempfile.TemporaryDirectory() as directory:
    base = Path(directory).resolve()
    root = base / "www"
    (root / "css").mkdir(parents=True)
    for name in ("index.html", "css/site.css", "a..b.txt", "with space.txt", "caf\u00e9.txt"):
        (root / name).write_text("public")
    (base / "secret.txt").write_text("secret")
    (base / "www-private").mkdir()
    (base / "www-private" / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(base / "secret.txt")
    (root / "inside.txt").symlink_to(root / "index.html")
    (root / "out").symlink_to(base / "www-private")

    for given in (str(root), f"{root}/"):
        for path, name in {
            "/index.html": "index.html",
            "index.html": "index.html",
            "/css/site.css": "css/site.css",
            "/css/../index.html": "index.html",
            "/a..b.txt": "a..b.txt",
            "/with%20space.txt": "with space.txt",
            "/caf%C3%A9.txt": "caf\u00e9.txt",
        }.items():
            found = static.find(given, path)
            assert found is not None, path
            assert Path(found).samefile(root / name), (path, found)
        for path in (
            "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/.%2e/secret.txt",
            "/css/../../secret.txt", "/....//secret.txt", "/%2e%2e%2fwww-private/secret.txt",
            "/../www-private/secret.txt", f"/{base}/secret.txt", f"/%2f{base}/secret.txt",
            "/link.txt", "/out/secret.txt", "/", "", "/css", "/missing.txt", "/index.html%00.txt",
            "/%00", "/" + "x" * 5000,
        ):  # fmt: skip
            found = static.find(given, path)
            assert found is None, (path, found)
