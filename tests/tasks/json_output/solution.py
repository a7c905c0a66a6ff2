"""A mutually exclusive option, and its line in the README."""

from tests.tasks.steps import files, replace, turn, view

MAIN = "wordcount/__main__.py"

REPLIES = [
    turn("I look at what there is.", files()),
    turn("I read the command and the README.", view(MAIN), view("README.md")),
    turn(
        "The two options exclude each other, and argparse can say that. The counts are a named "
        "tuple whose fields are the keys that are asked for.",
        replace(MAIN, "import argparse\nimport sys", "import argparse\nimport json\nimport sys"),
        replace(
            MAIN,
            '    parser.add_argument("--words", action',
            "    form = parser.add_mutually_exclusive_group()\n"
            '    form.add_argument("--json", action="store_true", help="print a JSON object")\n'
            '    form.add_argument("--words", action',
        ),
        replace(
            MAIN,
            "    if arguments.words:",
            "    if arguments.json:\n"
            '        print(json.dumps({"file": arguments.file, **counts._asdict()}))\n'
            "    elif arguments.words:",
        ),
        replace(
            "README.md",
            "- `--words`: print the number of words alone",
            "- `--words`: print the number of words alone\n"
            "- `--json`: print a JSON object with `file`, `lines`, `words` and `characters`",
        ),
    ),
    turn("I read it again.", view(MAIN)),
    turn("`--json` prints one object, excludes `--words` and is in the README."),
]
