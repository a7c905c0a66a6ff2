"""A small cache whose entries expire."""

import time


class Cache:
    """Keeps each entry for `ttl` seconds after it was set.

    clock: returns the time in seconds; for tests
    """

    def __init__(self, ttl, clock=time.monotonic):
        self.ttl = ttl
        self.clock = clock
        self.entries = {}

    def set(self, key, value):
        self.entries[key] = (value, self.clock())

    def get(self, key, default=None):
        if key in self.entries:
            value, since = self.entries[key]
            if self.clock() - since > self.ttl:
                return default
            self.entries[key] = (value, self.clock())
            return value
        return default

    def __contains__(self, key):
        return key in self.entries

    def __len__(self):
        return len(self.entries)
