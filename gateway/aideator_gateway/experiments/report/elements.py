"""HTML and SVG as a tree of elements: text in it is text, whatever it says."""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from aideator_gateway.printable import printable

PREFIX = "r-"

_VOID = {"meta", "br", "circle", "line", "rect", "path"}


@dataclass(frozen=True)
class Element:
    """One element."""

    tag: str
    attributes: dict[str, str]
    children: tuple["Node", ...]

    def __str__(self) -> str:
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        attributes = "".join(f' {n}="{_text(v)}"' for n, v in self.attributes.items())
        if self.tag in _VOID and not self.children:
            # Written so that HTML and SVG both read it.
            yield f"<{self.tag}{attributes} />"
            return
        yield f"<{self.tag}{attributes}>"
        for child in self.children:
            if isinstance(child, Element):
                yield from child._parts()
            else:
                yield _text(child)
        yield f"</{self.tag}>"


Node = Element | str
Content = Union[Node, None, Iterable["Content"]]  # noqa: UP007 - it names itself as a text


def element(tag: str, *children: Content, **attributes: str | float | bool | None) -> Element:
    """Return an element.

    Parameters
    ----------
    children
        Elements and texts, also in lists; ``None`` is left out.
    attributes
        A ``_`` in a name is a ``-``, one at its end is left out. ``None`` and ``False`` are
        left out, ``True`` has no value. Classes get the report's own prefix, so that no other
        style sheet of a page that shows it means them.
    """
    classes = attributes.get("class_")
    if isinstance(classes, str):
        attributes["class_"] = " ".join(PREFIX + name for name in classes.split())
    given = {
        name.rstrip("_").replace("_", "-"): _value(value)
        for name, value in attributes.items()
        if value is not None and value is not False
    }
    return Element(tag, given, tuple(_flat(children)))


def _value(value: str | float) -> str:
    if value is True:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _flat(children: Iterable[Content]) -> Iterator[Node]:
    for child in children:
        if isinstance(child, (Element, str)):
            yield child
        elif child is not None:
            yield from _flat(child)


def _text(text: str) -> str:
    """Return text that is no markup, and that turns or hides nothing of what is around it."""
    return html.escape(printable(text))
