"""No item is lost, the count agrees with the pages, and a test holds it."""

import importlib
import subprocess
import sys

sys.path.insert(0, sys.argv[1])
paging = importlib.import_module("paging")

for total in range(12):
    for size in (1, 2, 3, 5, 20):
        items = list(range(total))
        cut = paging.pages(items, size)
        assert [item for page in cut for item in page] == items, (total, size, cut)
        assert all(1 <= len(page) <= size for page in cut), (total, size, cut)
        assert paging.page_count(total, size) == len(cut), (total, size)
try:
    paging.page_count(3, 0)
except ValueError:
    pass
else:
    raise AssertionError("a size below 1 is no longer refused")

tests = [sys.executable, "-m", "unittest", "-q"]
assert subprocess.run(tests, cwd=sys.argv[1], check=False).returncode == 0, "the tests fail"
# With the old rule in place the repository's own tests must notice.
runner = (
    "import paging, unittest\n"
    "paging.page_count.__code__ = (lambda total, size: total // size).__code__\n"
    "unittest.main(module=None, argv=['x', 'discover', '-q'])\n"
)
noticed = subprocess.run([sys.executable, "-c", runner], cwd=sys.argv[1], check=False)
assert noticed.returncode != 0, "no test would have caught it"
