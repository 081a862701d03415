"""The project's pages, taken apart: their headings, links and code blocks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "docs/decisions/*.md", "docs/examples/*.md")
    for page in ROOT.glob(pattern)
    if page.name != "template.md"
)
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A code block; `info` stands behind its opening fence: the language, and what it is."""

    info: str
    text: str


def text_of(name: str) -> str:
    """A page's text by its path from the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, info: str) -> list[str]:
    """The code blocks of exactly this info."""
    return [match[2] for match in _BLOCK.finditer(text) if match[1].strip() == info]


def anchors(text: str) -> set[str]:
    """Where links into a page can lead, as GitHub names its headings."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_BLOCK.sub("", text)))
    return {word.replace(" ", "-") for word in words}


def links(text: str) -> Iterator[str]:
    """The addresses that a page links to, code aside."""
    yield from _LINK.findall(_BLOCK.sub("", text))


def command_lines(text: str) -> list[str]:
    """The calls of `vai` in a page's shell blocks, continued lines joined; comments and what is piped to are cut."""
    lines = [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [re.split(r"  #| \|\|? ", line)[0].strip() for line in lines if line.startswith("vai ")]
