"""Pictures of the viewer's pages for the documentation: `python -m burnish.bench.screenshots --out docs/images`.

Fills a store of its own with scripted runs, serves it, and has a headless Chromium take the pictures. Needs `playwright`,
Pillow and numpy, and a Chromium: the one that BURNISH_CHROMIUM names, the system's, or playwright's own.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..core.errors import ConfigError
from .report import say
from .showcase import fill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTH = 1280
PAGES: Mapping[str, tuple[str, int]] = {
    "runs": ("/", 520),
    "batch": ("/batches/{comparison}", 760),
    "run": ("/runs/{plangen}", 960),
    "tree": ("/runs/{tree}#candidates", 560),
    "timeline": ("/runs/{plangen}#timeline", 220),
    "candidate": ("/runs/{iad}/candidates/{rewritten}", 480),
    "call": ("/runs/{iad}/calls/{call}", 760),
    "diff": ("/diff?a={best_of_n}&b={other_seed}", 800),
}
"""By the picture's name what it shows, with the ids that the store gives, and its height."""
DARK = "tree"
"""The picture that is taken in the dark, too."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_COLOURS = 200


def find_chromium() -> str | None:
    """Path of a Chromium on this machine; None if there is none."""
    named = os.environ.get("BURNISH_CHROMIUM")
    if named:
        return named
    if found := next((path for name in _NAMES if (path := shutil.which(name))), None):
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        own = tool.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def browser() -> Generator[Browser]:
    """A headless Chromium.

    Raises:
        ConfigError: there is none on this machine.
    """
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise ConfigError("there is no Chromium", hint="apt install chromium, or name one with BURNISH_CHROMIUM=/path")
    # Chromium's own sandbox needs rights that containers lack, and refuses root.
    unboxed = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=path, args=[*unboxed, "--disable-dev-shm-usage"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def viewer(store: str, log: int | IO[str] = subprocess.DEVNULL) -> Generator[str]:
    """`burnish view` on a store, a process of its own that complains to `log`. Gives its address, without the last slash."""
    program = [sys.executable, "-c", "from burnish.cli.main import main; main()"]
    arguments = ["view", "--store", store, "--port", "0", "--no-open"]
    process = subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address.startswith("http"):
            raise ConfigError("the viewer did not start", hint=f"look with: burnish view --store {store}")
        yield address.rstrip("/")
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout:
            process.stdout.close()


def addresses(store: str, ids: Mapping[str, str]) -> dict[str, str]:
    """The pages' paths in a store that `fill` has filled. Of its rewrites one is shown that did not do yet."""
    from ..traces.store import Store

    reader = Store.open_reader(store)
    try:
        candidates = reader.candidates(ids["iad"])
        parents = {c.parent_id for c in candidates}
        rewritten = next(c for c in candidates if c.id in parents and c.parent_id is not None)
        call = next(c.seq for c in reader.calls(ids["iad"]) if c.id == rewritten.call_id)
    finally:
        reader.close()
    return {name: path.format(**ids, rewritten=rewritten.id, call=call) for name, (path, _) in PAGES.items()}


def take(page: Page, address: str, path: Path) -> None:
    """Take one picture; of its colours those that are used most, so that it is small."""
    import numpy as np
    from PIL import Image

    page.goto(address)
    page.wait_for_load_state("networkidle")
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(np.int32)
    packed, where, counts = np.unique(pixels @ (65536, 256, 1), return_inverse=True, return_counts=True)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    most = colours[np.argsort(-counts, kind="stable")[:_COLOURS]]
    # Pillow's own quantisation shifts even the colours that it keeps.
    nearest = ((colours[:, None] - most[None]) ** 2).sum(axis=2).argmin(axis=1)
    picture = Image.fromarray(nearest[where].reshape(pixels.shape[:2]).astype(np.uint8))
    picture.putpalette(most.astype(np.uint8).tobytes())
    picture.save(path, optimize=True)


def main(arguments: list[str] | None = None) -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="python -m burnish.bench.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/runs.db"
        say("making runs")
        paths = addresses(store, asyncio.run(fill(store, pace=0.4)))
        with viewer(store) as address, browser() as chromium:
            for scheme in ("light", "dark"):
                page = chromium.new_page(color_scheme=scheme)
                for name in paths if scheme == "light" else (DARK,):
                    path = out / (f"{name}.png" if scheme == "light" else f"{name}-dark.png")
                    page.set_viewport_size({"width": WIDTH, "height": PAGES[name][1]})
                    take(page, address + paths[name], path)
                    say(f"{path}  {path.stat().st_size / 1000:.0f} kB")
                page.close()


if __name__ == "__main__":
    main()
