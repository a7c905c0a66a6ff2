"""What each variation of the demo does: one idea of a small edit a file."""

from gateway.demo.ideas.attributes import Attributes
from gateway.demo.ideas.base import Idea
from gateway.demo.ideas.contributing import Contributing
from gateway.demo.ideas.docstring import Docstring
from gateway.demo.ideas.editorconfig import EditorConfig
from gateway.demo.ideas.layout import Layout

IDEAS: tuple[Idea, ...] = (
    Layout(),
    Docstring(),
    Contributing(),
    Attributes(),
    EditorConfig(),
)
"""By variation: the first is variation 1's."""

__all__ = ["IDEAS", "Idea"]
