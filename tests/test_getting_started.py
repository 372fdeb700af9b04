"""The page that a newcomer follows, done from its first command to its last, with the scripted engine."""

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import time
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from burnish.cli.main import invoke
from tests.test_docs import ENV, blocks

PAGE = (Path(__file__).parent.parent / "docs" / "getting-started.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    \$ (.+)$", PAGE, re.M)
LATENCY = "latency=0.5"


class Reader:
    """Somebody who types what the page says, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, sql: str) -> list[tuple]:
        base = sqlite3.connect(self.folder / "burnish.db")
        try:
            return base.execute(sql).fetchall()
        finally:
            base.close()

    def type(self, command: str) -> str:
        """What a command prints on both streams. Where the default model is wanted, the scripted engine answers."""
        if "1a2b3c4d" in command:
            command = command.replace("1a2b3c4d", self.rows("SELECT substr(max(id), -8) FROM run")[0][0])
        if re.match(r"burnish run (?!.*--engine)", command):
            command += " --engine scripted"
        if set(command) & set("&|;>"):
            done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=ENV, capture_output=True, text=True, timeout=120)
            status, printed = done.returncode, done.stdout + done.stderr
        else:
            os.chdir(self.folder)
            with redirect_stdout(StringIO()) as out, redirect_stderr(out):
                status = invoke(shlex.split(command)[1:])
            printed = out.getvalue()
        assert status == 0, command + "\n" + printed
        if command.startswith("burnish init demo && cd demo"):
            self.folder /= "demo"
            for name, code in blocks(PAGE).items():
                (self.folder / name).write_text(code, encoding="utf-8")
        return printed

    def view(self) -> str:
        """The first page of the viewer, which Ctrl-C ends."""
        command = ["burnish", "view", "--port", "0"]
        with subprocess.Popen(
            command, cwd=self.folder, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as viewer:
            try:
                with urllib.request.urlopen(viewer.stdout.readline().strip(), timeout=60) as page:
                    return page.read().decode()
            finally:
                viewer.send_signal(signal.SIGINT)
                viewer.wait(60)

    def kill(self, command: str) -> None:
        """Kill what the command starts once it has made some calls; the page sleeps instead, and the model is slower."""
        (known,) = self.rows("SELECT count(*) FROM call WHERE state = 'ok'")[0]
        words = shlex.split(command.replace(LATENCY, "latency=0.1"))
        with subprocess.Popen(words, cwd=self.folder, env=ENV, stderr=subprocess.DEVNULL) as run:
            ends = time.monotonic() + 60
            while self.rows("SELECT count(*) FROM call WHERE state = 'ok'")[0][0] < known + 12 and time.monotonic() < ends:
                time.sleep(0.05)
            run.kill()
        assert run.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, str]:
    """What each command of the page printed, in its order."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    printed: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(reader.folder)
        for name in [name for name in os.environ if name.startswith("BURNISH_")]:
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(reader.folder / "no-config"))
        for command in COMMANDS:
            if command == "burnish view":
                printed[command] = reader.view()
            elif " & sleep" in command:
                reader.kill(command.partition(" & ")[0])
            else:
                printed[command] = reader.type(command)
    printed["stored"] = str(reader.rows("SELECT status, count(*) FROM run GROUP BY status"))
    # The four runs of the kill are the only ones with 30 samples each: each sample once, though it was cut short.
    printed["killed"] = str(
        reader.rows(
            "SELECT count(*), count(DISTINCT c.position) FROM run r JOIN call c ON c.run_id = r.id"
            " WHERE r.settings LIKE '%\"n\":30%' AND c.state = 'ok' AND c.kind = 'generate' GROUP BY r.id"
        )
    )
    return printed


def begins(said: dict[str, str], words: str) -> str:
    (found,) = (text for command, text in said.items() if command.startswith(words))
    return found


def test_it_runs_and_shows_the_trace(said):
    assert begins(said, "burnish run graph.py:graph").count("verified") >= 4
    assert "42" in begins(said, 'burnish run best_of_n "What is 17 + 25?" --reference')
    assert begins(said, "burnish runs show").startswith("run ")
    assert "<- chosen" in begins(said, "burnish runs tree")
    assert "best_of_n" in said["burnish view"]
    assert "<html" in said["burnish view"]


def test_own_verifier_and_graph_run(said):
    assert "verified" in begins(said, 'burnish run best_of_n "What is 17 + 25?" --verifier checks.py:even')
    assert "4 runs" in begins(said, "burnish run twice.py:graph")
    assert "draft --> revise" in begins(said, "burnish graphs draw twice.py:graph")


def test_what_was_killed_goes_on_and_repeats_nothing(said):
    assert "killed" in said["burnish runs stuck"]
    assert "4 runs" in said["burnish runs resume --all"]
    assert said["killed"] == str([(30, 30)] * 4)
    assert "done" in said["stored"]
    assert "running" not in said["stored"]


def test_the_comparison_is_printed_again(said):
    first, again = begins(said, "burnish compare single"), said["burnish compare --name first"]
    table = first[first.index("ARM ") :].splitlines()[:4]
    assert "\n".join(table) in again
    assert [line.split()[0] for line in table[1:]] == ["single", "majority:n=8", "oracle"]


def test_every_file_that_the_page_runs_is_shown():
    assert set(blocks(PAGE)) == {"checks.py", "twice.py", "sums.py"}
    assert any(LATENCY in command for command in COMMANDS)
    assert len(COMMANDS) >= 15
