"""The experiment's file: what it may say, and on which line it says what it may not."""

import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import Condition, Styles, VariationLimits
from aideator_gateway.experiments.definition import Defaults, Experiment, Task
from aideator_gateway.experiments.file import ExperimentFileError, read_experiment
from aideator_gateway.experiments.lines import line_of

DOCS = Path(__file__).parent.parent.parent / "docs/experiments.md"

WHOLE = """\
name = "agents-md"
repeats = 5
budget_usd = 20

[defaults]
repository = "https://github.com/user/repo"
check = "pytest -q"

[[tasks]]
name = "last-page"
prompt = "Fix the last page."

[[tasks]]
name = "labels"
prompt = "@prompts/labels.md"
check = "true"
tags = ["html"]

[[conditions]]
label = "plain"

[[conditions]]
style = "smallest"
instructions = "@AGENTS.md"
limits = { max_turns = 10 }
"""


def read(directory: Path, text: str, **arguments: Any) -> Experiment:
    file = directory / "experiment.toml"
    file.write_text(text, encoding="utf-8")
    return read_experiment(file, Styles(), **arguments)


def refused(directory: Path, text: str, **arguments: Any) -> ExperimentFileError:
    with pytest.raises(ExperimentFileError) as caught:
        read(directory, text, **arguments)
    return caught.value


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/labels.md").write_text("Label the form.\n")
    (tmp_path / "AGENTS.md").write_text("Read first.\n")
    return tmp_path


def test_a_whole_file_says_all_of_it(directory: Path) -> None:
    found = read(directory, WHOLE)
    assert found.attempts == 2 * 2 * 5
    first, second = found.tasks
    assert (first.repository, first.check) == ("https://github.com/user/repo", "pytest -q")
    assert (second.prompt, second.check, second.tags) == ("Label the form.\n", "true", ["html"])
    plain, smallest = found.conditions
    assert (plain.name, smallest.name) == ("plain", "smallest")
    assert smallest.instructions == "Read first.\n"
    assert smallest.style_text == Styles().text("smallest")
    assert smallest.limits == VariationLimits(max_turns=10)


def test_repositories_on_this_machine_are_seen_from_the_file(directory: Path) -> None:
    (directory / "repo").mkdir()
    text = WHOLE.replace("https://github.com/user/repo", "repo")
    asked = []

    def url(repository: str, ref: str | None) -> str:
        asked.append((repository, ref))
        return "file:///somewhere"

    found = read(directory, text, repository_url=url)
    assert {task.repository for task in found.tasks} == {"file:///somewhere"}
    # What tasks have in common is asked about once.
    assert asked == [(str(directory / "repo"), None)]


BAD = [
    # what is written in place of what, the line that is named, what is said of it
    ("repeats = 5", "repeats = 0", 2, "repeats: Input should be greater than or equal to 1."),
    ("repeats = 5", "repeats = true", 2, "repeats: Input should be a valid integer."),
    ("repeats = 5\n", "", 1, "repeats: This field is required."),
    ("budget_usd = 20", "budget_usd = -1", 3, "budget_usd: Input should be greater than 0."),
    ("budget_usd = 20", "budget_usd = inf", 3, "budget_usd: Input should be a finite number."),
    ('"agents-md"', '"Agents md"', 1, "name: "),
    ("budget_usd = 20", "budget_usd = 20\nbudget = 3", 4, "budget: This field is not known; known"),
    ("repeats = 5", 'repeats = 5\nbaseline = "x"', 3, "baseline: There is no condition 'x'."),
    ('check = "pytest -q"', "check = 3", 7, "defaults.check: Input should be a valid string."),
    ('"labels"', '"last-page"', 14, "tasks.2.name: Another task is called 'last-page'."),
    ("@prompts/labels.md", "@none.md", 15, "tasks.2.prompt: none.md cannot be read (No such file"),
    ('check = "true"', 'chek = "true"', 16, "tasks.2.chek: This field is not known; known are"),
    ('label = "plain"', "", 19, "conditions.1.style: Give the condition a label"),
    ('label = "plain"', 'style = "smallest"', 23, "conditions.2.style: Another condition is"),
    ('"smallest"', '"smallish"', 23, "conditions.2.style: 'smallish' is not a known style"),
    ("max_turns = 10", "max_turns = 0", 25, "conditions.2.limits.max_turns: Input should be"),
    ('style = "smallest"', 'style = "smallest"\ntemperature = 3', 24, "conditions.2.temperature: "),
    ('prompt = "Fix the last page."', "", 9, "tasks.1.prompt: This field is required."),
    ("[[tasks]]\nname", "[[task]]\nname", 9, "task: This field is not known; known are name"),
    ("repeats = 5", "repeats = 6000", 2, "repeats: This makes 24,000 attempts; at most 10,000"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "line", "said"), BAD)
def test_what_is_wrong_is_said_with_its_line(
    directory: Path, before: str, after: str, line: int, said: str
) -> None:
    assert before in WHOLE
    error = refused(directory, WHOLE.replace(before, after, 1))
    problems = {(problem.line, problem.message) for problem in error.problems}
    assert [at for at, message in problems if message.startswith(said)] == [line], problems
    first = error.problems[0]
    assert str(error).startswith(f"{directory / 'experiment.toml'}:{first.line}: {first.message}")


def test_all_that_is_wrong_is_counted_the_first_is_told(directory: Path) -> None:
    text = WHOLE.replace("repeats = 5", "repeats = 0").replace('check = "true"', "check = 1")
    error = refused(directory, text)
    assert [problem.line for problem in error.problems] == [2, 16]
    assert str(error).endswith("(More is wrong on line 16.)")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ('a = 1\n\nb = """\nno end\n', 4),
        ("[a\n", 1),
    ],
)
def test_what_is_no_toml_is_said_with_its_line(directory: Path, text: str, line: int) -> None:
    error = refused(directory, text)
    assert [problem.line for problem in error.problems] == [line]
    assert "This is not TOML" in str(error)


def test_other_bytes_and_no_file_are_one_error(tmp_path: Path) -> None:
    file = tmp_path / "experiment.toml"
    with pytest.raises(ExperimentFileError, match="No such file"):
        read_experiment(file, Styles())
    file.write_bytes(b'name = "a"\nx = "\xff"\n')
    with pytest.raises(ExperimentFileError, match=r":2: This is not UTF-8 text\."):
        read_experiment(file, Styles())


def test_a_repository_that_cannot_be_used_is_said_where_it_stands(directory: Path) -> None:
    def url(repository: str, ref: str | None) -> str:
        raise ValueError(f"{repository} at {ref} is no good")

    error = refused(directory, WHOLE, repository_url=url)
    assert [problem.line for problem in error.problems] == [6]
    own = WHOLE.replace('name = "labels"', 'name = "labels"\nrepository = "https://x/y/z"')
    error = refused(directory, own, repository_url=url)
    assert [problem.line for problem in error.problems] == [6, 15]


MARKED = '''\
top = "L1"
"dotted".key."with \\" quote" = "L2"   # top = "L9"

[table]
multi = """L5
[table]
under = "nothing"
"""
after = 'L9'
array = [ "L10", "L10" ]
lines = [
  "L11",
  # comment ]
  "L11",
]
inline = { a = "L16", b = { c = "L16" } }

[[list]]
name = "L19"
sub.x = "L20"

[[list]]

[[list.inner]]
name = "L25"
[[list.inner]]
name = \'\'\'
L27 with a "quote"
\'\'\'
[list.other]
x = "L31"

[[list]]
name = "L34"
'''


def leaves(value: Any, path: tuple[int | str, ...] = ()) -> Iterator[tuple[Any, str]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from leaves(inner, (*path, key))
        case list():
            for number, inner in enumerate(value):
                yield from leaves(inner, (*path, number))
        case str():
            yield path, value


MARKS = list(leaves(tomllib.loads(MARKED)))


@pytest.mark.parametrize(("path", "value"), MARKS)
def test_every_value_is_found_where_it_begins(path: tuple[int | str, ...], value: str) -> None:
    found = re.search(r"L(\d+)", value)
    assert found is not None
    assert line_of(MARKED, path) == int(found[1])


def test_what_is_not_there_has_the_line_of_what_it_would_be_in() -> None:
    assert len(MARKS) > 10
    assert line_of(MARKED, ("list", 1, "name")) == 22
    assert line_of(MARKED, ("list", 7, "name")) == 18
    assert line_of(MARKED, ("list", 0, "sub", "y")) == 20
    assert line_of(MARKED, ("nothing", "at", "all")) == 1


def test_a_long_file_is_searched_in_a_moment() -> None:
    block = '[[tasks]]\nname = "n{0}"\nprompt = """\n' + "words\n" * 40 + '"""\n\n'
    text = "".join(block.format(number) for number in range(60))
    start = time.process_time()
    assert line_of(text, ("tasks", 50, "prompt")) == 50 * 45 + 3
    assert time.process_time() - start < 5


@pytest.mark.parametrize("model", [Experiment, Task, Defaults, VariationLimits, Condition])
def test_every_field_is_documented(model: type[Any]) -> None:
    page = DOCS.read_text(encoding="utf-8")
    # Conditions and limits are a run's own, and carry what a style says by themselves.
    missing = [n for n in model.model_fields if f"`{n}`" not in page and n != "style_text"]
    assert missing == []
