"""How far a batch is: what the line beside the bar says, and that it is asked for while nothing ends."""

import os
import pty
import re
import subprocess

from burnish import BurnishError, Result, Usage, Waiting
from burnish.cli.progress import Progress
from tests.cli_kit import PROGRAM, environment


def result(outcome=None, score=None, error=None, **usage):
    return Result(run_id="0" * 32, task_id="t", outcome=outcome, score=score, error=error, usage=Usage(**usage))


def test_the_line_sums_the_batch_up(capsys):
    running = 3
    with Progress(9, lambda: running) as progress:
        assert progress.told() == "3 running, 0 tokens"
        progress.advance(result("verified", 0.5, prompt_tokens=1000, output_tokens=234, usd=0.25))
        progress.advance(result("rejected", 0.75, abstentions=2, prompt_tokens=1))
        progress.advance(result(error=BurnishError("no")))
        progress.advance(result(error=Waiting("waits")))
        progress.advance(result("verified", 0.25))
        running = 1
        told = "1 running, 2 verified, 1 rejected, 1 failed, 1 waiting, 2 abstentions, 1,235 tokens, $0.25, best 0.75"
        assert progress.told() == told
    assert capsys.readouterr().err.startswith("[1/9] 00000000 t: verified 0.50: ")


def test_a_terminal_is_shown_runs_at_work_and_the_time_left(tmp_path):
    (tmp_path / "tasks.jsonl").write_text("".join(f'{{"prompt": "What is {i} + 1?"}}\n' for i in range(4)))
    command = ["run", "single", "--tasks", "tasks.jsonl", "--engine", "scripted", "--engine-arg", "latency=0.4"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *command, "--concurrency", "2"],
        cwd=tmp_path,
        env=environment(COLUMNS="160", TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # The other end is closed.
        pass
    assert process.wait(timeout=60) == 0
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert re.search(r"0/4 .* left .* 2 running, 0 tokens", plain)
    assert re.search(r"2/4 .* left .* 2 unverified, \d+ tokens", plain)
