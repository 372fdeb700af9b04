"""What a store does when the storage does not: typed errors that name the mend, and nothing recorded is lost."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from burnish.core.errors import ConfigError, StoreError
from burnish.core.records import StepStart, Told
from burnish.traces import commit, connect, migrate
from burnish.traces.store import Store
from tests.traces_kit import begun, gapless, numbers, one_of_each, spec

CHILD = Path(__file__).with_name("traces_child.py")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@contextmanager
def raw(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def made(url):
    """A store with one finished record of each kind, closed."""
    store = await Store.open(url)
    journal = await begun(store)
    await journal.write(*one_of_each(journal.run_id))
    await store.close()
    return journal.run_id


async def refused(url):
    with pytest.raises(StoreError) as caught:
        await Store.open(url)
    assert caught.value.hint
    return caught.value


async def test_a_locked_database_is_waited_for(url, path, monkeypatch):
    monkeypatch.setattr(connect, "BUSY_MS", 20)
    store = await Store.open(url)
    journal = await begun(store)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        write = asyncio.ensure_future(journal.write(StepStart(position="/a", node="a")))
        await asyncio.sleep(0.3)
        assert not write.done()
        other.execute("ROLLBACK")
        await write
    assert numbers(store, journal.run_id) == [1]
    await store.close()


async def test_a_database_locked_for_too_long_stops_the_writing(url, path, monkeypatch):
    monkeypatch.setattr(connect, "BUSY_MS", 20)
    monkeypatch.setattr(commit, "LOCK_PATIENCE", 0.3)
    store = await Store.open(url)
    journal = await begun(store)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            await journal.write(StepStart(position="/a", node="a"))
        assert (caught.value.code, caught.value.retryable) == ("locked", True)
        other.execute("ROLLBACK")
    with pytest.raises(StoreError, match="locked"):
        await journal.write(StepStart(position="/b", node="b"))
    await store.close()
    store = await Store.open(url)
    journal = await store.acquire(journal.run_id)
    await journal.write(StepStart(position="/a", node="a"))
    await store.close()


async def test_a_new_database_that_is_locked_is_refused(url, path, monkeypatch):
    monkeypatch.setattr(connect, "BUSY_MS", 20)
    monkeypatch.setattr(migrate, "_PATIENCE", 0.2)
    with raw(path) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        assert (await refused(url)).code == "locked"


async def test_a_file_that_cannot_grow_stops_the_writing_and_keeps_what_is_there(url):
    store = await Store.open(url)
    run = spec()
    await store.create_run(run)
    await store.close()
    command = [sys.executable, str(CHILD), "fill", url, run.id]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    acknowledged = [line for line in lines if line.startswith("ack")]
    failed = next(line for line in lines if line.startswith("failed"))
    assert failed.split()[1] in ("disk_full", "io_error")
    assert len(failed.split()) > 2
    assert [line for line in lines if not line.startswith(("ack", "failed"))] == [f"stopped {failed.split()[1]}"] * 2
    store = await Store.open(url)
    journal = await store.acquire(run.id)
    assert len(acknowledged) <= len(journal.told("/s")) <= len(acknowledged) + 1
    await journal.write(Told(scope="/s", number=len(journal.told("/s")), id="z"))
    assert gapless(numbers(store, run.id))
    await store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
async def test_a_full_disk_stops_the_writing_until_space_is_freed(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = await asyncio.to_thread(
        subprocess.run, ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        url = f"sqlite:///{disk}/runs.db"
        store = await Store.open(url)
        journal = await begun(store)
        (disk / "ballast").write_bytes(bytes(1 << 20))
        stored, failure = 0, None
        while failure is None:
            try:
                await journal.write(Told(scope="/s", number=stored, id="x" * 5000))
                stored += 1
            except StoreError as e:
                failure = e
        assert failure.code == "disk_full"
        assert "space" in failure.hint
        (disk / "ballast").unlink()
        with pytest.raises(StoreError):
            await journal.write(StepStart(position="/a", node="a"))
        await store.close()
        store = await Store.open(url)
        journal = await store.acquire(journal.run_id)
        assert len(journal.told("/s")) == stored > 0
        await journal.write(Told(scope="/s", number=stored, id="y"))
        assert gapless(numbers(store, journal.run_id))
        await store.close()
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "-l", str(disk)], check=False)


@contextmanager
def unprivileged():
    """Root may write anywhere; so for a while not as root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_read_only_database_can_be_read_but_not_opened_for_writing():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        run_id = await made(f"sqlite:///{path}")
        path.chmod(0o444)
        os.chmod(folder, 0o555)
        try:
            with unprivileged():
                assert (await refused(f"sqlite:///{path}")).code == "cannot_open"
                reader = Store.open_reader(f"sqlite:///{path}")
                assert len(reader.candidates(run_id)) == 1
                reader.close()
        finally:
            os.chmod(folder, 0o755)


async def test_a_missing_folder_is_named(tmp_path):
    error = await refused(f"sqlite:///{tmp_path}/none/runs.db")
    assert (error.code, "folder" in error.hint) == ("cannot_open", True)


async def test_a_folder_is_no_database(tmp_path):
    error = await refused(f"sqlite:///{tmp_path}")
    assert (error.code, f"{tmp_path}/burnish.db" in error.hint) == ("cannot_open", True)


async def test_a_database_newer_than_the_code_is_refused(url, path):
    await made(url)
    with raw(path) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    error = await refused(url)
    assert (error.code, "update" in error.hint) == ("newer_schema", True)
    with pytest.raises(StoreError, match="newer"):
        Store.open_reader(url)


@pytest.mark.parametrize("content", [b"hello\n" * 1000, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000, b"x"])
async def test_what_is_no_database_is_refused_and_left_alone(url, path, content):
    path.write_bytes(content)
    assert (await refused(url)).code in ("not_a_database", "corrupt")
    with pytest.raises(StoreError):
        Store.open_reader(url)
    assert path.read_bytes() == content


async def test_a_database_of_another_program_is_refused(url, path):
    with raw(path) as other:
        other.execute("CREATE TABLE notes (t TEXT)")
    assert (await refused(url)).code == "foreign"
    with pytest.raises(StoreError, match="not burnish"):
        Store.open_reader(url)


async def test_a_damaged_database_is_an_error_with_a_mend(url, path):
    await made(url)
    content = bytearray(path.read_bytes())
    for at in range(4096, len(content), 4096):
        content[at : at + 64] = b"\xff" * 64
    path.write_bytes(content)
    assert (await refused(url)).code in ("corrupt", "not_a_database")


async def test_a_damaged_or_missing_text_is_an_error(url, path):
    store = await Store.open(url)
    journal = await begun(store, prompt="long " * 500)
    run_id = journal.run_id
    await store.close()
    with raw(path) as other:
        (sha,) = other.execute("SELECT task_sha FROM run").fetchone()
        other.execute("UPDATE blob SET data = x'00112233' WHERE sha = ?", (sha,))
    reader = Store.open_reader(url)
    with pytest.raises(StoreError, match="damaged"):
        reader.task(run_id)
    with pytest.raises(StoreError, match="no stored text"):
        reader.text("0" * 32)
    reader.close()


async def test_a_reader_makes_nothing(url, path):
    with pytest.raises(StoreError, match="no database") as caught:
        Store.open_reader(url)
    assert caught.value.code == "missing"
    assert not path.exists()
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="empty"):
        Store.open_reader(url)
    assert path.read_bytes() == b""


async def test_a_reader_sees_a_database_that_is_written_and_cannot_write(url):
    store = await Store.open(url)
    journal = await begun(store)
    reader = Store.open_reader(url)
    await journal.write(*one_of_each(journal.run_id))
    assert len(reader.calls(journal.run_id)) == 1
    with reader._engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM run")
    reader.close()
    await store.close()


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "rubbish", "sqlite:///file:x?mode=ro", "://"])
async def test_a_store_that_cannot_be_used_is_a_configuration_error(text):
    with pytest.raises(ConfigError) as caught:
        await Store.open(text)
    assert caught.value.hint


async def test_passwords_are_not_shown():
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        await Store.open("postgresql+psycopg://user:canary-secret@127.0.0.1:9/none?connect_timeout=2")
    assert "canary-secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert caught.value.hint


async def test_where_the_store_is_when_nobody_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BURNISH_STORE", raising=False)
    store = await Store.open()
    assert store.url == f"sqlite:///{tmp_path}/burnish.db"
    await store.close()
    monkeypatch.setenv("BURNISH_STORE", "sqlite:///other.db")
    store = await Store.open()
    await store.close()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["burnish.db", "other.db"]


async def test_only_the_owner_can_read_the_files(url, path):
    store = await Store.open(url)
    await begun(store)
    assert {f.stat().st_mode & 0o777 for f in path.parent.iterdir()} == {0o600}
    await store.close()
    assert [f.name for f in path.parent.iterdir()] == ["runs.db"]


async def test_odd_file_names_work(tmp_path):
    url = f"sqlite:///{tmp_path}/a b%20#ü.db"
    run_id = await made(url)
    reader = Store.open_reader(url)
    assert reader.run(run_id).status == "interrupted"
    reader.close()


def test_all_revisions_are_listed_and_lead_to_the_schema(url, path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from burnish.traces.schema import metadata

    versions = Path(migrate.__file__).parent / "migrations" / "versions"
    assert tuple(sorted(f.name[:4] for f in versions.glob("0*.py"))) == migrate.REVISIONS
    parsed = connect.store_url(url)
    engine = connect.write_engine(parsed)
    migrate.migrate(engine, parsed)
    migrate.migrate(engine, parsed)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_an_old_database_is_copied_before_it_is_migrated(url, path, monkeypatch):
    """There is only one revision so far, so the step to a second one is made up."""
    run_id = await made(url)
    monkeypatch.setattr(migrate, "REVISIONS", ("0001", "0002"))
    monkeypatch.setattr(migrate, "HEAD", "0002")
    with pytest.raises(StoreError, match="older"):
        Store.open_reader(url)

    def second(connection):
        connection.exec_driver_sql("CREATE TABLE extra (x TEXT)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
        if not Path(f"{path}.before-0002").exists():
            raise AssertionError("the copy comes first")

    monkeypatch.setattr(migrate, "_run_alembic", second)
    store = await Store.open(url)
    assert store.reader().run(run_id).status == "interrupted"
    await store.close()
    with raw(f"{path}.before-0002") as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert copy.execute("SELECT id FROM run").fetchall() == [(run_id,)]


async def test_a_migration_that_fails_changes_nothing(url, path, monkeypatch):
    await made(url)
    monkeypatch.setattr(migrate, "REVISIONS", ("0001", "0002"))
    monkeypatch.setattr(migrate, "HEAD", "0002")

    def broken(connection):
        connection.exec_driver_sql("DROP TABLE tell")
        connection.exec_driver_sql("nonsense")

    monkeypatch.setattr(migrate, "_run_alembic", broken)
    with pytest.raises(StoreError):
        await Store.open(url)
    with raw(path) as other:
        assert other.execute("SELECT COUNT(*) FROM tell").fetchall() == [(1,)]
        assert other.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
