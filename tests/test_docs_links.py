"""Every link of the documents leads somewhere, every page is in the index, every file that is named is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("**/*.md"))]
ROOMS = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")}
"""Folders of the repository: a path in code that begins with one of them is a file of ours."""


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]+`", "code", prose(page))
    return re.findall(r"\]\(([^()\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as they are made where Markdown is shown."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.M):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        same = sum(re.fullmatch(rf"{re.escape(words)}(-\d+)?", other) is not None for other in found)
        found.append(f"{words}-{same}" if same else words)
    return set(found)


def wrong(page: Path, link: str) -> str | None:
    """What is wrong with a link of a page, if anything."""
    if re.match(r"[a-z]+:", link):
        return None if re.match(r"https?://[\w.-]+\.\w+(/\S*)?$", link) else "not a web address"
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT.resolve()) or not target.exists():
        return "no such file"
    if anchor and (target.suffix != ".md" or anchor not in anchors(target)):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert [(link, why) for link in links(page) if (why := wrong(page, link))] == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path):
    page = DOCS / "cli.md"
    assert wrong(page, "no-such-page.md") == "no such file"
    assert wrong(page, "../../outside.md") == "no such file"
    assert wrong(page, "engines.md#no-such-heading") == "no such heading"
    assert wrong(page, "#running") is None
    assert wrong(page, "ftp:x") == "not a web address"
    twice = tmp_path / "page.md"
    twice.write_text("# A `b`: c-d\n## Same\n## Same\n```\n# no heading\n```\n[x](y.md) `[no](link.md)`\n")
    assert anchors(twice) == {"a-b-c-d", "same", "same-1"}
    assert links(twice) == ["y.md"]


def test_every_page_is_in_the_index():
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(index)}
    assert {str(page.relative_to(DOCS)) for page in PAGES[1:] if page != index and page.resolve() not in linked} == set()
    assert "docs/README.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(page):
    named = re.findall(r"`((?:\w+/)+[\w.-]*)`", prose(page))
    ours = {name for name in named if name.split("/")[0] in ROOMS}
    assert {name for name in ours if not (ROOT / name).exists()} == set()
