"""Clips: ranges, who may see them, and names that try to lead elsewhere."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardcut.annotate.embedded.inside.keys import linked_name, path_of, token
from hardcut.annotate.embedded.server import Connection, connection
from hardcut.schemas.errors import UsageError

CLIP = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def clips(one_argilla: Path) -> Connection:
    """A connection whose media folder has two clips, a secret beside it, and links that lead out."""
    found = connection(one_argilla)
    root = found.media_root
    (root / "a b").mkdir()
    (root / "a b" / "ünï.mp4").write_bytes(CLIP)
    (root / "sheet.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "page.html").write_text("<script>alert(1)</script>")
    (root / ".draft.mp4").write_bytes(CLIP)
    (root / "out.mp4").symlink_to(one_argilla / "argilla.db")
    (root / "folder.mp4").symlink_to(one_argilla)
    (root / "ring.mp4").symlink_to(root / "ring.mp4")
    (one_argilla / "secret.mp4").write_bytes(b"secret")
    return found


@pytest.fixture(scope="module")
def http(clips: Connection) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=clips.url, timeout=60) as client:
        yield client


def test_a_clip_is_served_whole_and_in_ranges_to_who_holds_its_link(clips: Connection, http: httpx.Client) -> None:
    link = clips.media_url("a b/ünï.mp4")
    whole = http.get(link)
    assert (whole.status_code, whole.content) == (200, CLIP)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in whole.headers
    assert whole.headers["x-content-type-options"] == "nosniff"
    for asked, start, end in (("0-99", 0, 100), ("1000-", 1000, len(CLIP)), ("-16", len(CLIP) - 16, len(CLIP))):
        part = http.get(link, headers={"Range": f"bytes={asked}", "Accept-Encoding": "br, gzip"})
        assert (part.status_code, part.content) == (206, CLIP[start:end]), asked
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CLIP)}"
    assert http.get(link, headers={"Range": f"bytes={len(CLIP)}-"}).status_code == 416
    head = http.head(link)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(CLIP)), b"")
    assert http.post(link).status_code == 405


def test_who_has_neither_link_nor_login_sees_nothing(clips: Connection, http: httpx.Client) -> None:
    link = clips.media_url("sheet.jpg")
    given = link.split("/")[2]
    other = given[:-1] + ("0" if given[-1] != "0" else "1")
    for path in (
        "/media/sheet.jpg",
        "/media/no-such.jpg",
        f"/media/{other}/sheet.jpg",
        f"/media/{given}/a%20b/ünï.mp4",
    ):
        assert http.get(path).status_code == 401, path
    assert http.get("/media/sheet.jpg", headers={"X-Argilla-Api-Key": "wrong"}).status_code == 401
    assert http.get("/media/sheet.jpg", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_who_is_logged_in_sees_a_clip_by_its_name(clips: Connection, http: httpx.Client, one_argilla: Path) -> None:
    alice = {"X-Argilla-Api-Key": connection(one_argilla, "alice").api_key}
    assert http.get("/media/a%20b/ünï.mp4", headers=alice).content == CLIP
    assert http.get("/media/no-such.jpg", headers=alice).status_code == 404


def test_links_are_the_same_for_all_users_and_unlike_each_other(clips: Connection, one_argilla: Path) -> None:
    assert connection(one_argilla, "bob").media_url("sheet.jpg") == clips.media_url("sheet.jpg")
    assert clips.media_url("sheet.jpg").split("/")[2] != clips.media_url("sheet2.jpg").split("/")[2]


HOSTILE = (
    "../argilla.db", "a b/../../argilla.db", "..%2fargilla.db", "%2e%2e/secret.mp4", "%252e%252e/secret.mp4",
    "/etc/passwd", "//etc/passwd", "/../secret.mp4", "..\\secret.mp4", "a b\\..\\..\\secret.mp4", "./sheet.jpg",
    "sheet.jpg/", "sheet.jpg/.", "a b//ünï.mp4", "a b", "", ".", "..", ".draft.mp4", "page.html", "out.mp4",
    "folder.mp4/secret.mp4", "folder.mp4/argilla.db", "ring.mp4", "sheet.jpg%00.mp4", "sheet.jpg\0",
    "x" * 5000 + ".mp4",
    "~/secret.mp4", "file:///etc/passwd", "..;/secret.mp4", "sheet.jpg?x", "sheet.jpg#x",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_finds_nothing_even_with_a_valid_token(
    clips: Connection, http: httpx.Client, one_argilla: Path, name: str
) -> None:
    """The token is the right one for the name, as if the owner had been tricked into making the link."""
    key = connection(one_argilla).api_key
    for path in (f"/media/{token(key, name)}/{name}", f"/media/{name}"):
        for target in (path.encode(), quote(path).encode()):  # as it stands, and quoted as a careful client would
            status, body = _raw(clips.url, target, key)
            assert status in (400, 401, 404), (path, status)
            assert b"secret" not in body and b"SQLite format" not in body


def _raw(url: str, target: bytes, key: str) -> tuple[int, bytes]:
    """One request by hand: clients tidy paths up before they send them."""
    parts = urlsplit(url)
    target = target.replace(b" ", b"%20").replace(b"\0", b"%00").replace(b"#", b"%23").replace(b"?", b"%3F")
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as wire:
        wire.sendall(
            b"GET %s HTTP/1.1\r\nHost: x\r\nX-Argilla-Api-Key: %s\r\nConnection: close\r\n\r\n" % (target, key.encode())
        )
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), answer


def test_a_link_for_a_name_that_is_not_served_is_refused_when_it_is_made(clips: Connection) -> None:
    for name in ("../x.mp4", "/etc/passwd", ".draft.mp4", "a//b.mp4", ""):
        with pytest.raises(UsageError, match="clip"):
            clips.media_url(name)


@settings(max_examples=50)
@given(key=st.text(min_size=1), name=st.text(min_size=1), other=st.text(min_size=1))
@example(key="k", name="a/b", other="b")
def test_a_token_opens_its_own_name_and_no_other(key: str, name: str, other: str) -> None:
    try:
        made = path_of(key, name)
    except UnicodeEncodeError:
        return  # half a surrogate pair is no name of a file
    assert made.startswith(f"/media/{token(key, name)}/")
    assert linked_name(key, f"{token(key, name)}/{name}") == name
    if other != name and other.isprintable():
        assert linked_name(key, f"{token(key, name)}/{other}") is None
    assert linked_name(key + "x", f"{token(key, name)}/{name}") is None
