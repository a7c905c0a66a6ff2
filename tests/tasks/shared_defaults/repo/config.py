"""Settings: defaults, and what a user's file says on top."""

DEFAULTS = {
    "server": {"host": "127.0.0.1", "port": 8000, "tls": {"enabled": False, "ciphers": ["A", "B"]}},
    "log": {"level": "info"},
}


def merge(base, extra):
    """Return `base` with `extra` on top; nested dictionaries are merged, all else replaced."""
    merged = base
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def load(user=None):
    """Return the settings for a user's dictionary."""
    return merge(DEFAULTS, user or {})
