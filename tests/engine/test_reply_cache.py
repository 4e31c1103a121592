"""The reply cache: durable, shared, and clear about damage."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import threading
import time

import pytest

from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.errors import StorageError, UsageError


async def until(condition):
    """Whether it comes true within five seconds."""
    for _ in range(250):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


async def test_puts_and_gets(tmp_path):
    with ReplyCache(tmp_path / "deep" / "replies.sqlite") as cache:
        assert cache.get("a") is None
        await asyncio.gather(*(cache.put(f"key{n}", f"body {n} é") for n in range(1200)))
        assert cache.get("key7") == "body 7 é"
        many = cache.get_many([f"key{n}" for n in range(0, 2400, 2)])
        assert len(many) == 600 and many["key1198"] == "body 1198 é"
        await cache.put("key7", "newer")
    with ReplyCache(tmp_path / "deep" / "replies.sqlite") as cache:
        assert cache.get("key7") == "newer"


async def test_a_reply_that_was_put_survives_sigkill(tmp_path, child):
    code = """
from hardcut.engine.reply_cache import ReplyCache
async def main():
    cache = ReplyCache(Path(sys.argv[1]))
    await asyncio.gather(*(cache.put(f"key{n}", "body") for n in range(64)))
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    assert child(code, tmp_path / "replies.sqlite").wait() == -9
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache.get_many([f"key{n}" for n in range(64)])) == 64


async def test_no_cursor_leaves_the_writers_thread(tmp_path):
    """Whoever let go of one reset its statement while the writer carried it out for somebody else: one use in some
    thousands failed with "bad parameter or other API misuse"."""
    sql = "INSERT OR IGNORE INTO used (key, holder) VALUES (?, 1)"

    async def note(database, who):
        for n in range(200):
            rows = [(f"{who}-{n}-{each}",) for each in range(5)]
            assert await database.write(lambda connection, rows=rows: connection.executemany(sql, rows)) is None

    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        await asyncio.gather(*(note(cache._database, who) for who in range(16)))
        assert cache._database.read("SELECT count(*) FROM used")[0][0] == 16 * 200 * 5


async def test_processes_share_a_cache(tmp_path, child):
    code = """
from hardcut.engine.reply_cache import ReplyCache
async def main():
    with ReplyCache(Path(sys.argv[1])) as cache:
        for n in range(50):
            await cache.put(f"{sys.argv[2]}-{n}", "body")
asyncio.run(main())
"""
    writers = [child(code, tmp_path / "replies.sqlite", name, stderr=subprocess.PIPE) for name in "abcd"]
    for writer in writers:
        assert writer.communicate()[1] == ""
        assert writer.returncode == 0
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache.get_many([f"{name}-{n}" for name in "abcd" for n in range(50)])) == 200


async def test_a_damaged_file_says_what_to_do(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.write_bytes(b"this was never a database, however long it is made" * 100)
    with pytest.raises(StorageError, match=r"replies\.sqlite: damaged.*delete it"):
        ReplyCache(path)
    path.unlink()
    with ReplyCache(path) as cache:
        await asyncio.gather(*(cache.put(f"key{n}", "body" * 500) for n in range(200)))
    content = bytearray(path.read_bytes())
    content[4096:-4096] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with ReplyCache(path) as cache:
        with pytest.raises(StorageError, match="delete it"):
            cache.get_many([f"key{n}" for n in range(200)])
        with pytest.raises(StorageError, match="delete it"):
            await cache.put("key", "body")


async def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot"):
        ReplyCache(tmp_path / "file" / "replies.sqlite")


async def test_what_was_put_is_flushed_soon_and_many_share_a_flush(tmp_path, monkeypatch):
    flushed = []
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        real = cache._database.flush
        monkeypatch.setattr(cache._database, "flush", lambda: (real(), flushed.append(1)))
        for n in range(20):
            await cache.put(f"k{n}", "v")
        assert await until(lambda: len(flushed) == 1)
        await asyncio.sleep(0.3)
        assert len(flushed) == 1, "nothing new to flush"
        await cache.put("more", "v")
    assert len(flushed) == 2, "closing flushes"


async def test_closing_flushes_what_was_put_during_a_flush(tmp_path, monkeypatch):
    begun, going_on = [], threading.Event()
    cache = ReplyCache(tmp_path / "replies.sqlite")
    monkeypatch.setattr(cache._database, "flush", lambda: (begun.append(len(known())), going_on.wait(5)))

    def known():
        return cache.get_many(["first", "second"])

    await cache.put("first", "v")
    assert await until(lambda: begun)
    await cache.put("second", "v")
    threading.Timer(0.1, going_on.set).start()
    cache.close()
    assert begun == [1, 2]


async def test_closing_ends_though_a_flush_begins_at_that_moment(tmp_path, monkeypatch):
    """`close` comes between the flusher's quarter of a second and its forgetting what made it look."""
    cache = ReplyCache(tmp_path / "replies.sqlite")
    closer = threading.Thread(target=cache.close, daemon=True)
    real = cache._unflushed.clear

    def clear():
        if not closer.ident:
            closer.start()
            assert cache._closing.wait(5)
            time.sleep(0.1)  # its other signal is given by now
        real()

    monkeypatch.setattr(cache._unflushed, "clear", clear)
    await cache.put("k", "v")
    assert await until(lambda: closer.ident and not closer.is_alive())


async def test_closing_waits_for_what_waits_for_another_writer_and_tells_its_failure(tmp_path, monkeypatch):
    path = tmp_path / "replies.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for fails in (False, True):
        cache = ReplyCache(path)
        flushed = []
        monkeypatch.setattr(cache._database, "flush", lambda: flushed.append(cache.get("k")))  # noqa: B023
        if fails:
            other.execute("CREATE TRIGGER no BEFORE INSERT ON reply BEGIN SELECT RAISE(ABORT, 'not this one'); END")
        other.execute("BEGIN IMMEDIATE")
        put = asyncio.create_task(cache.put("k", "v"))
        await asyncio.sleep(0.1)
        put.cancel()
        await asyncio.gather(put, return_exceptions=True)
        threading.Timer(0.1, other.execute, ["COMMIT"]).start()
        if fails:
            with pytest.raises(sqlite3.IntegrityError, match="not this one"):
                cache.close()
        else:
            cache.close()
            assert flushed == ["v"]
    other.close()


async def test_a_flush_that_fails_is_told(tmp_path, monkeypatch):
    def fail():
        raise StorageError("the disk is gone")

    cache = ReplyCache(tmp_path / "replies.sqlite")
    monkeypatch.setattr(cache._database, "flush", fail)
    await cache.put("k", "v")
    with pytest.raises(StorageError, match="the disk is gone"):
        cache.close()


async def test_what_is_put_together_shares_a_commit(tmp_path, monkeypatch):
    commits = []
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        real = cache._database.write_at_once
        monkeypatch.setattr(
            cache._database, "write_at_once", lambda sql, rows: (commits.append(len(rows)), real(sql, rows))[1]
        )
        await asyncio.gather(*(cache.put(f"k{n}", "v") for n in range(64)))
        assert commits == [64]
        await cache.put("alone", "v")
        assert commits == [64, 1]
        assert len(cache.get_many([f"k{n}" for n in range(64)])) == 64 and cache.get("alone") == "v"


async def test_a_reply_is_kept_though_whoever_put_it_is_stopped(tmp_path):
    """Ctrl-C between the put and its commit: the reply was paid for."""
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        puts = [asyncio.create_task(cache.put(f"k{n}", "v")) for n in range(3)]
        await asyncio.sleep(0)
        puts[0].cancel()
        puts[1].cancel()
        assert [type(each) for each in await asyncio.gather(*puts, return_exceptions=True)] == [
            asyncio.CancelledError, asyncio.CancelledError, type(None),
        ]  # fmt: skip
        late = asyncio.create_task(cache.put("late", "v"))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        assert cache.get("late") is None, "not committed yet"
    await asyncio.sleep(0.01)  # its millisecond passes after the end
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache.get_many(["k0", "k1", "k2", "late"])) == 4


def test_a_loop_may_end_before_its_replies_are_committed(tmp_path):
    async def begin(cache):
        loop = asyncio.get_running_loop()
        put = loop.create_task(cache.put("first", "v"))
        await asyncio.sleep(0)
        assert not put.done()
        loop.stop()
        put.cancel()

    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        loop = asyncio.new_event_loop()
        begun = loop.create_task(begin(cache))
        loop.run_forever()
        loop.run_until_complete(begun)
        loop.close()
        asyncio.run(asyncio.wait_for(cache.put("second", "v"), 5))
        assert set(cache.get_many(["first", "second"])) == {"first", "second"}


async def test_a_commit_that_fails_is_told_to_all_who_share_it(tmp_path, monkeypatch):
    def full(sql, rows):
        raise StorageError("no space is left")

    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        monkeypatch.setattr(cache._database, "write_at_once", full)
        told = await asyncio.gather(*(cache.put(f"k{n}", "v") for n in range(3)), return_exceptions=True)
        assert [str(each) for each in told] == ["no space is left"] * 3
    cache = ReplyCache(tmp_path / "replies.sqlite")
    monkeypatch.setattr(cache._database, "write_at_once", full)
    put = asyncio.create_task(cache.put("k", "v"))
    await asyncio.sleep(0)
    put.cancel()
    await asyncio.gather(put, return_exceptions=True)
    with pytest.raises(StorageError, match="no space"):
        cache.close()


async def test_a_put_waits_its_turn_where_another_process_is_writing(tmp_path, monkeypatch):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        flushed = []
        real = cache._database.flush
        monkeypatch.setattr(cache._database, "flush", lambda: (flushed.append(cache.get("k")), real()))
        other = sqlite3.connect(tmp_path / "replies.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        put = asyncio.create_task(cache.put("k", "v"))
        await asyncio.sleep(0.5)
        assert not put.done() and cache.get("k") is None and not flushed
        other.execute("COMMIT")
        await asyncio.wait_for(put, 5)
        assert cache.get("k") == "v"
        assert await until(lambda: flushed == ["v"]), "flushed once it is there"
        other.close()


async def test_the_log_of_a_long_run_is_carried_over_into_the_file(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        for n in range(64):
            await cache.put(f"k{n}", "v" * 100_000)
        assert await until(lambda: (tmp_path / "replies.sqlite").stat().st_size > 4 * 2**20)


def changed(path, sql, *values):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql, values)
    connection.close()


async def test_a_cache_of_an_earlier_layout_is_brought_up(tmp_path):
    path = tmp_path / "replies.sqlite"
    changed(path, "CREATE TABLE reply (key TEXT PRIMARY KEY, body TEXT NOT NULL)")
    connection = sqlite3.connect(path)
    with connection:
        connection.executemany("INSERT INTO reply VALUES (?, ?)", [(f"k{n}", f"body {n} é") for n in range(1200)])
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with ReplyCache(path) as cache, ReplyCache(path) as other:
        assert cache.get_many([f"k{n}" for n in range(1200)]) == {f"k{n}": f"body {n} é" for n in range(1200)}
        await other.put("k7", "newer")
        assert cache.get("k7") == "newer"
    changed(path, "UPDATE reply SET body = 'another' WHERE key = 'k8'")
    with ReplyCache(path) as cache:
        assert cache.get("k8") is None and cache.get("k9") == "body 9 é"


@pytest.mark.parametrize("layout", [-1, 99])
def test_a_cache_of_a_newer_or_unknown_layout_is_refused(tmp_path, layout):
    path = tmp_path / "replies.sqlite"
    ReplyCache(path).close()
    changed(path, f"PRAGMA user_version = {layout}")
    with pytest.raises(UsageError, match=rf"replies\.sqlite: .*layout {layout}"):
        ReplyCache(path)


async def test_no_bit_of_a_reply_can_flip_unnoticed(tmp_path):
    path = tmp_path / "replies.sqlite"
    body = '{"answer": "yes", "margin": 3.25}'
    with ReplyCache(path) as cache:
        for n in range(40):
            await cache.put(f"key{n}", body)
    whole = path.read_bytes()
    places = [at for at in range(len(whole)) if whole.startswith(body.encode(), at)]
    assert len(places) == 40
    dice = random.Random(3)
    for _ in range(60):
        damaged = bytearray(whole)
        at = dice.choice(places) + dice.randrange(len(body))
        damaged[at] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        with ReplyCache(path) as cache:
            found = cache.get_many([f"key{n}" for n in range(40)])
            assert len(found) == 39 and set(found.values()) == {body}


# Claims


async def test_a_key_is_claimed_once_and_free_when_it_is_given_up_or_answered(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as one, ReplyCache(tmp_path / "replies.sqlite") as other:
        assert await one.claim(["a", "b", "c"]) == {"a", "b", "c"}
        assert await one.claim(["a"]) == set(), "nor does one process ask twice"
        assert await other.claim(["b", "c", "d"]) == {"d"}
        waiting = asyncio.create_task(other.claims.wait(["b", "c"]))
        await one.put("b", "body")
        await asyncio.sleep(0.5)
        assert not waiting.done()
        one.claims.give_up(["a", "b", "c"])
        await asyncio.wait_for(waiting, 5)
        assert await other.claim(["a", "b", "c"]) == {"a", "c"}, "b has its reply"
        other.reject("b", "body")
        assert await other.claim(["b"]) == {"b"}, "which is of no use to this one"
    with ReplyCache(tmp_path / "replies.sqlite") as later:
        assert await later.claim(["a", "c", "d"]) == {"a", "c", "d"}, "who ends has no claims"


async def test_the_claims_of_a_process_that_died_count_no_more(tmp_path, child):
    code = """
from hardcut.engine.reply_cache import ReplyCache
async def main():
    cache = ReplyCache(Path(sys.argv[1]))
    await cache.claim(["a", "b"])
    print("claimed", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    holder = child(code, tmp_path / "replies.sqlite", stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "claimed\n"
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert await cache.claim(["a", "b", "c"]) == {"c"}
        waiting = asyncio.create_task(cache.claims.wait(["a", "b"]))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        holder.kill()
        holder.wait()
        await asyncio.wait_for(waiting, 5)
        assert await cache.claim(["a", "b"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("owner", "free"),
    [
        ("beat = beat - 29", False),
        ("place = 'another machine', beat = beat - 25", False),
        ("place = 'another machine', beat = beat - 31", True),
        ("beat = beat - 301", True),  # it is there, and stopped
        ("started = '1'", True),  # its process id is another's by now
        ("pid = 4194305", True),
    ],
)
async def test_an_owner_who_is_gone_elsewhere_silent_or_stopped_has_no_claims(tmp_path, owner, free):
    path = tmp_path / "replies.sqlite"
    with ReplyCache(path) as one, ReplyCache(path) as other:
        assert await one.claim(["a"]) == {"a"}
        changed(path, f"UPDATE owner SET {owner}")
        assert bool(await other.claim(["a"])) is free


async def test_a_claim_waits_its_turn_where_another_process_is_writing(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ReplyCache(path) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        claiming = asyncio.create_task(cache.claim(["a"]))
        stopped = asyncio.create_task(cache.claim(["b"]))
        await asyncio.sleep(0.2)
        assert not claiming.done() and not stopped.done()
        stopped.cancel()
        other.execute("COMMIT")
        other.close()
        assert await asyncio.wait_for(claiming, 5) == {"a"}
        await asyncio.gather(stopped, return_exceptions=True)
        with ReplyCache(path) as another:
            assert await another.claim(["a", "b"]) == {"b"}, "whoever was stopped meanwhile claims nothing"
