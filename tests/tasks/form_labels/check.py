"""Every field has a label of its own, and the form sends what it sent before."""

import sys
from html.parser import HTMLParser
from pathlib import Path

FIELDS = {"name": "Name", "email": "E-mail", "news": "Send me news", "country": "Country"}


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, dict[str, str | None], str | None]] = []
        self.labels: dict[str, str] = {}
        self.attributes: dict[str, dict[str, str | None]] = {}
        self._label: dict[str, str | None] | None = None
        self._text = ""
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.attributes.setdefault(tag, found)
        if tag == "label":
            self._label, self._text, self._within = found, "", []
        elif tag in ("input", "select"):
            name = found.get("name") or ""
            self._within += [name] if self._label is not None else []
            self.fields.append((name, found, found.get("id")))

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "label" and self._label is not None:
            text = " ".join(self._text.split())
            target = self._label.get("for")
            for name in self._within if target is None else [f"#{target}"]:
                self.labels[name] = text
            self._label = None


page = Page()
page.feed((Path(sys.argv[1]) / "signup.html").read_text())
sent = [(name, found.get("type"), found.get("value")) for name, found, _ in page.fields]
assert sent == [
    ("token", "hidden", "{{ token }}"), ("name", None, None), ("email", "email", None),
    ("news", "checkbox", "yes"), ("country", None, None),
], sent  # fmt: skip
ids = [id_ for *_, id_ in page.fields if id_]
assert len(ids) == len(set(ids)), "an id is used twice"
for name, found, id_ in page.fields:
    if name in FIELDS:
        label = page.labels.get(name) or page.labels.get(f"#{id_}") or found.get("aria-label")
        assert label, f"{name} has no label"
        assert FIELDS[name] in label, (name, label)
assert (page.attributes["html"].get("lang") or "").startswith("en"), "the page has no language"
assert "tern" in (page.attributes["img"].get("alt") or "").lower(), "the logo says nothing"
assert all("required" in f for n, f, _ in page.fields if n in ("name", "email")), "required is gone"
