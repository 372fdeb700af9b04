"""What the reference is made from is there: the modules that its page lists, and docstrings of all that is public."""

import inspect
import re
from importlib import import_module

import pytest

import burnish
from tests.test_docs_links import DOCS

LISTED = re.findall(r"^\| `(burnish[\w.]*)` \|", (DOCS / "reference.md").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("name", LISTED)
def test_every_module_that_is_listed_says_what_it_is_for(name):
    assert inspect.getdoc(import_module(name))


@pytest.mark.parametrize("name", burnish.__all__)
def test_every_public_name_is_documented_by_its_own_docstring(name):
    found = getattr(burnish, name)
    written = found.__dict__.get("__doc__") if isinstance(found, type) else found.__doc__
    assert written
    assert not written.startswith(f"{name}(")  # What a dataclass without a docstring says of itself.


def test_no_module_is_listed_twice():
    assert "burnish" in LISTED
    assert len(LISTED) == len(set(LISTED))
