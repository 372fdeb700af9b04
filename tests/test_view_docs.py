"""The page on the viewer says what is so."""

import re
from pathlib import Path

from burnish.cli.commands import load
from burnish.view.app import create_app
from burnish.view.words import LONGEST

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "viewer.md").read_text()


def test_every_flag_is_listed():
    view = load("view")
    flags = {option for p in view.params for option in p.opts if option.startswith("--")} - {"--help"}
    assert set(re.findall(r"^\| `(--\w+)", PAGE, re.M)) == flags


def test_every_page_is_listed():
    routes = {getattr(route, "path", "") for route in create_app(None).routes} - {"/static", "/runs"}  # pyright: ignore[reportArgumentType]
    names = {"{run}": "ID", "{batch}": "ID", "{candidate}": "ID", "{call}": "SEQ"}
    paths = {re.sub(r"\{\w+\}", lambda m: names[m[0]], path) for path in routes}
    table = PAGE[PAGE.index("## Pages") : PAGE.index("## Keys")]
    listed = {a.partition("?")[0] for row in re.findall(r"^\| (`.*?) \|", table, re.M) for a in re.findall(r"`(.*?)`", row)}
    assert listed == paths


def test_every_key_is_listed_and_shown():
    script = (ROOT / "view" / "static" / "view.js").read_text()
    actions = re.search(r"const actions = \{(.*?)\n\};", script, re.S)
    assert actions
    keys = {m[1] or m[2] for m in re.finditer(r'^  (?:(\w+)|"(.)"):? ?', actions[1], re.M)}
    assert {"j", "k", "Enter", "d", "[", "]", "u", "t", "/", "?"} == keys
    shown = set(re.findall(r"<kbd>(.*?)</kbd>", (ROOT / "view" / "templates" / "base.html").read_text()))
    table = PAGE[PAGE.index("## Keys") : PAGE.index("## Who")]
    listed = {key for row in re.findall(r"^\| (`.*?) \|", table, re.M) for key in re.findall(r"`(.*?)`", row)}
    assert shown == listed == keys | {"g", "r", "b"}


def test_the_limits_are_those_of_the_code():
    from burnish.traces.find import LOOKED_AT

    assert f"{LONGEST:,} characters" in PAGE
    assert f"{LOOKED_AT:,} runs" in PAGE
