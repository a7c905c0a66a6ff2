"""Entries expire on time, for every way to look at them, and their values are let go."""

import gc
import importlib
import sys
import weakref
from collections.abc import Callable

sys.path.insert(0, sys.argv[1])
module = importlib.import_module("cache")


class Value:
    pass


now = [100.0]
cache = module.Cache(10, clock=lambda: now[0])
cache.set("a", 1)
now[0] = 109.9
assert cache.get("a") == 1
assert "a" in cache
assert len(cache) == 1
now[0] = 110.0
assert cache.get("a", "gone") == "gone", "reading made it live longer, or the limit is off by one"
assert "a" not in cache
assert len(cache) == 0

uses: dict[str, Callable[[], object]] = {
    "get": lambda: cache.get("other"),
    "set": lambda: cache.set("other", 1),
    "in": lambda: "other" in cache,
    "len": lambda: len(cache),
}
for name, use in uses.items():
    value = Value()
    kept = weakref.ref(value)
    cache.set("b", value)
    del value
    now[0] += 10
    use()
    gc.collect()
    assert kept() is None, f"{name} keeps an expired value"

cache.set("c", None)
assert "c" in cache
cache.set("d", 1)
now[0] += 6
cache.set("d", 2)
now[0] += 6
assert cache.get("d") == 2, "setting again must start its time anew"
assert "c" not in cache
assert module.Cache(1).get("x", 5) == 5, "the default clock"
