"""What a browser posts of a page."""

from __future__ import annotations

from html.parser import HTMLParser


class Inputs(HTMLParser):
    """What a browser would post of a page's last form, nobody having typed anything."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.name, self.text, self.chosen = {}, "", None, None

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.found = self.found if "search" in str(given) or given.get("method") != "post" else {}
        if tag == "input" and given.get("type") not in ("checkbox", "radio", "submit", "file") and given.get("name"):
            self.found[given["name"]] = given.get("value", "")
        elif tag == "input" and given.get("type") == "checkbox" and "checked" in given:
            self.found[given["name"]] = given.get("value", "on")
        elif tag == "textarea":
            self.name, self.text = given["name"], ""
        elif tag == "select":
            self.name = given["name"]
        elif tag == "option" and self.name and ("selected" in given or self.name not in self.found):
            self.found[self.name] = given.get("value", "")

    def handle_data(self, data):
        if self.text is not None:
            self.text += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.found[self.name], self.text, self.name = self.text.removeprefix("\n"), None, ""
        elif tag == "select":
            self.name = ""


def posted(page: str) -> dict:
    reader = Inputs()
    reader.feed(page)
    return reader.found
