import threading
import time

import pytest

from wellposed.data._prefetch import default_workers, in_order


def ours():
    return [t for t in threading.enumerate() if t.name.startswith("wellposed-data")]


@pytest.mark.parametrize("workers", [1, 3])
def test_keeps_the_order_whatever_finishes_first(workers):
    def slow_at_first(k):
        time.sleep(0.02 if k % 3 == 0 else 0)
        return k * k

    assert list(in_order(slow_at_first, range(10), workers=workers)) == [k * k for k in range(10)]
    assert not ours()


def test_reads_ahead_but_not_far():
    begun = []
    results = in_order(begun.append, range(100), workers=2)
    for _ in range(10):
        next(results)
    time.sleep(0.05)
    assert len(begun) <= 10 + 2 + 2
    results.close()


def test_an_early_exit_leaves_no_thread():
    results = in_order(lambda k: k, range(1000), workers=4)
    assert next(results) == 0
    assert ours()
    results.close()
    assert not ours()


def test_an_exception_comes_at_its_place():
    results = in_order(lambda k: 1 / (k - 3), range(9), workers=3)
    assert [next(results) for _ in range(3)] == [1 / -3, 1 / -2, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not ours()


def test_workers_are_counted_within_reason(monkeypatch):
    assert 1 <= default_workers() <= 8
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert 1 <= default_workers() <= 8
