"""Who may read the viewer's pages; the command that serves them."""

import asyncio
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from burnish.view.auth import is_loopback
from tests.cli_kit import burnish as burnish
from tests.cli_kit import ended, start, until
from tests.helpers import session
from tests.view_kit import url, viewed


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with a store of one run."""
    folder = tmp_path_factory.mktemp("serve")

    async def make():
        async with session(folder) as s:
            await s.run("single", "hi")

    asyncio.run(make())
    return folder


@pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1:8600", "127.0.0.1", "[::1]:8600", "LOCALHOST", "127.0.0.9:1"])
def test_the_loopback_may_be_named(store, host):
    with viewed(store) as client:
        assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8600",
        "localhost.evil.example:8600",
        "127.0.0.1.evil.example",
        "10.0.0.1:8600",
        "",
        "[::2]:1",
    ],
)
def test_another_host_is_refused(store, host):
    with viewed(store) as client:
        for address in ("/", "/static/view.js"):
            answer = client.get(address, headers={"host": host})
            assert answer.status_code == 421
            assert "burnish</a>" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_answered(store, method):
    with viewed(store) as client:
        answer = client.request(method, "/")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
        assert client.head("/").status_code == 200


def test_every_answer_carries_the_policy(store):
    with viewed(store) as client:
        for address in ("/", "/nope", "/static/view.css", "/static/nope", "/diff"):
            headers = client.get(address).headers
            policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
            assert policy["default-src"] == "'self'"
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
        assert client.post("/").headers["x-content-type-options"] == "nosniff"
        assert client.get("/").headers["cache-control"] == "no-store"


def test_pages_load_nothing_from_elsewhere():
    for file in (Path(__file__).parent.parent / "view").rglob("*"):
        if file.suffix in (".html", ".css", ".js", ".svg"):
            found = set(re.findall(r"(?:https?:)?//[\w.-]+", file.read_text()))
            assert found <= {"http://www.w3.org"}, (file, found)


def test_a_token_lets_in_once_and_a_cookie_from_then_on(store):
    with viewed(store, token="s3cret", loopback=False, port=8600) as client:
        for refused in ("/", "/?token=", "/?token=wrong", "/?token=s3cre", "/static/view.js"):
            answer = client.get(refused)
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers
        client.cookies.set("burnish_view_8600", "wrong")
        assert client.get("/").status_code == 401
        client.cookies.clear()
        let_in = client.get("/?status=done&token=s3cret&q=a%26b", follow_redirects=False)
        assert let_in.status_code == 303
        assert let_in.headers["location"] == "/?status=done&q=a%26b"
        cookie = let_in.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/").status_code == 200
        for sly in ("//evil.example/?token=s3cret", "/%5C%5Cevil.example?token=s3cret"):
            answer = client.get("http://localhost:8600" + sly, follow_redirects=False)
            assert answer.headers["location"].lstrip("/").startswith("evil.example")
            assert not re.match(r"[/\\]{2}", answer.headers["location"])


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.1.2.3", False),
        ("", False),
    ],
)
def test_what_is_loopback(host, is_it):
    assert is_loopback(host) is is_it


def served(*flags, cwd):
    """The command, serving; its address."""
    process = start("view", "--store", "sqlite:///runs.db", "--port", "0", *flags, cwd=cwd)
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped(store, number):
    process, address = served(cwd=store)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert "<h1>Runs</h1>" in answer.read().decode()
    process.send_signal(number)
    done = ended(process)
    assert done.status == 0
    assert done.out == ""
    assert "Traceback" not in done.err


def test_another_address_than_the_loopback_has_a_token(store):
    process, address = served("--host", "0.0.0.0", cwd=store)
    try:
        port, token = re.fullmatch(r"http://[^/]+:(\d+)/\?token=([\w-]{40,})", address).groups()
        until(lambda: answers(f"http://127.0.0.1:{port}/") == 401)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(f"http://127.0.0.1:{port}/?token={token}", timeout=30) as answer:
            assert answer.url == f"http://127.0.0.1:{port}/"
            assert "<h1>Runs</h1>" in answer.read().decode()
    finally:
        process.send_signal(signal.SIGTERM)
        assert token not in ended(process).err


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        e.close()
        return e.code


def test_a_token_may_be_asked_for_on_the_loopback(store):
    process, address = served("--token", cwd=store)
    assert "/?token=" in address
    assert answers(address.partition("?")[0]) == 401
    process.send_signal(signal.SIGINT)
    assert ended(process).status == 0


def test_a_port_that_is_taken_is_told_with_the_mend(store, burnish):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = burnish("view", "--store", url(store), "--port", str(port))
    assert done.status == 2
    assert f"the port {port} of 127.0.0.1 is taken" in done.err
    assert "--port 0" in done.err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "x" * 300])
def test_an_address_of_another_machine_is_refused(store, burnish, host):
    done = burnish("view", "--store", url(store), "--host", host, "--port", "0")
    assert done.status == 2
    assert "cannot listen at" in done.err


def test_without_a_store_nothing_is_served(tmp_path, burnish):
    done = burnish("view", "--store", "sqlite:///none.db")
    assert done.status == 6
    assert not (tmp_path / "none.db").exists()


def test_a_missing_extra_is_told_with_the_pip_line(store, burnish, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = burnish("view", "--store", url(store))
    assert done.status == 2
    assert "pip install 'burnish[view]'" in done.err
