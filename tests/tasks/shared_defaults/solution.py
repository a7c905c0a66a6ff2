"""Copy deeply on both sides, and use what the nested merge returns."""

from tests.tasks.steps import files, replace, turn, view

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the module.", view("config.py")),
    turn(
        "`merged = base` is no copy: every load writes into DEFAULTS. A shallow copy would still "
        "share the nested dictionaries and lists, so both sides are copied deeply.",
        replace(
            "config.py",
            'on top."""\n\nDEFAULTS',
            'on top."""\n\nimport copy\n\nDEFAULTS',
        ),
        replace("config.py", "    merged = base\n", "    merged = copy.deepcopy(base)\n"),
        replace(
            "config.py",
            "            merge(merged[key], value)",
            "            merged[key] = merge(merged[key], value)",
        ),
        replace(
            "config.py",
            "            merged[key] = value\n",
            "            merged[key] = copy.deepcopy(value)\n",
        ),
    ),
    turn("I read it again.", view("config.py")),
    turn("`merge` now returns a copy that shares nothing with either side."),
]
