"""What each variation of the demo does: one idea of a small edit a file."""

from aideator_gateway.demo.ideas.attributes import Attributes
from aideator_gateway.demo.ideas.base import Idea
from aideator_gateway.demo.ideas.contributing import Contributing
from aideator_gateway.demo.ideas.docstring import Docstring
from aideator_gateway.demo.ideas.editorconfig import EditorConfig
from aideator_gateway.demo.ideas.layout import Layout

IDEAS: tuple[Idea, ...] = (
    Layout(),
    Docstring(),
    Contributing(),
    Attributes(),
    EditorConfig(),
)
"""By variation: the first is variation 1's."""

__all__ = ["IDEAS", "Idea"]
