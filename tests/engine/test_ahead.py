"""Work in threads comes back in its order, and a few items ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hardcut.engine.ahead import in_threads


def test_results_come_in_order_and_items_are_read_a_few_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    read, threads = [], set()

    def items() -> Iterator[int]:
        for at in range(200):
            read.append(at)
            yield at

    def work(at: int) -> int:
        threads.add(threading.get_ident())
        return at * at

    for at, result in enumerate(in_threads(work, items())):
        assert result == at * at and len(read) <= at + 3 * 8 + 2
    assert len(read) == 200 and threading.get_ident() not in threads


def test_an_error_comes_out_where_its_item_is() -> None:
    found = in_threads(lambda at: 1 // (at - 2), [0, 1, 2, 3])
    assert [next(found), next(found)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(found)
