"""The command."""

import argparse
import sys

from wordcount.count import count


def main():
    parser = argparse.ArgumentParser(prog="wordcount", description="Count lines, words, characters.")
    parser.add_argument("file")
    parser.add_argument("--words", action="store_true", help="print the number of words alone")
    arguments = parser.parse_args()
    try:
        with open(arguments.file, encoding="utf-8") as file:
            counts = count(file.read())
    except OSError as error:
        print(f"wordcount: {arguments.file}: {error.strerror}", file=sys.stderr)
        return 1
    if arguments.words:
        print(counts.words)
    else:
        print(counts.lines, counts.words, counts.characters, arguments.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
