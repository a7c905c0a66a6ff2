"""Nothing that is loaded or changed reaches the defaults, the input or another result."""

import copy
import importlib
import sys

sys.path.insert(0, sys.argv[1])
config = importlib.import_module("config")

before = copy.deepcopy(config.DEFAULTS)
user = {"server": {"port": 9000, "tls": {"enabled": True}, "names": ["a"]}, "extra": {"x": [1]}}
given = copy.deepcopy(user)
found = config.load(user)
assert found["server"] == {
    "host": "127.0.0.1", "port": 9000, "names": ["a"],
    "tls": {"enabled": True, "ciphers": ["A", "B"]},
}, found  # fmt: skip
assert found["extra"] == {"x": [1]}
assert config.load() == before, "one load leaks into the next"

found["server"]["tls"]["ciphers"].append("C")
found["extra"]["x"].append(2)
found["log"]["level"] = "debug"
assert before == config.DEFAULTS, "a change of the result reaches the defaults"
assert config.load() == before, "a change of the result reaches the next load"
assert user == given, "a change of the result reaches what the user gave"
assert config.load({"log": "off"})["log"] == "off", "a value no longer replaces a dictionary"
assert config.merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
