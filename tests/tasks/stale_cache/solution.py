"""Drop what has expired before every use."""

from tests.tasks.steps import files, replace, turn, view

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the class.", view("cache.py")),
    turn(
        "Three faults: `>` keeps an entry at exactly ttl, `get` renews it, and nothing is ever "
        "removed. One method that drops what has expired, called by all four, mends them.",
        replace(
            "cache.py",
            "    def set(self, key, value):\n        self.entries",
            "    def _expire(self):\n"
            "        now = self.clock()\n"
            "        for key, (_, since) in list(self.entries.items()):\n"
            "            if now - since >= self.ttl:\n"
            "                del self.entries[key]\n\n"
            "    def set(self, key, value):\n        self._expire()\n        self.entries",
        ),
        replace(
            "cache.py",
            "        if key in self.entries:\n"
            "            value, since = self.entries[key]\n"
            "            if self.clock() - since > self.ttl:\n"
            "                return default\n"
            "            self.entries[key] = (value, self.clock())\n"
            "            return value\n"
            "        return default",
            "        self._expire()\n"
            "        return self.entries[key][0] if key in self.entries else default",
        ),
        replace(
            "cache.py",
            "        return key in self.entries",
            "        self._expire()\n        return key in self.entries",
        ),
        replace(
            "cache.py",
            "        return len(self.entries)",
            "        self._expire()\n        return len(self.entries)",
        ),
    ),
    turn("I read it again.", view("cache.py")),
    turn("Entries now end at ttl, whatever is read, and leave memory at the next use."),
]
