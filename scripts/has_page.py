"""Say whether what is to be released has the built page, and fail where it has not.

Usage: python scripts/has_page.py dist/*.whl dist/*.tar.gz

A build does without the page where it is missing, since an editable install and the Dagger
runtime's must work without Node. A release is another matter.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

PAGE = "aideator_gateway/http/static/index.html"


def names(archive: Path) -> list[str]:
    """Return the names of the files in a wheel or a source distribution."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as sources:
        return sources.getnames()


def main() -> int:
    """Look at every archive that is named."""
    archives = [Path(word) for word in sys.argv[1:]]
    bare = [one for one in archives if not any(name.endswith(PAGE) for name in names(one))]
    for archive in bare:
        sys.stderr.write(f"{archive} has no page: run make page, then build it again.\n")
    return 1 if bare or not archives else 0


if __name__ == "__main__":
    sys.exit(main())
