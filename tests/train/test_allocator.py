import ctypes
import subprocess
import sys

import pytest

from wellposed.train import _allocator as module
from wellposed.train._allocator import keeping_freed_memory


class Libc:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []

    def mallopt(self, option, value):
        self.told.append((option, value))

    def malloc_trim(self, pad):
        self.told.append(("trim", pad))


@pytest.fixture
def libc(monkeypatch):
    found = Libc()
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: found)
    for name in [n for n in module.os.environ if n.startswith(("MALLOC_", "GLIBC_TUNABLES"))]:
        monkeypatch.delenv(name)
    return found


def test_thresholds_are_raised_and_memory_is_handed_back_afterwards(libc):
    with pytest.raises(KeyError), keeping_freed_memory():  # noqa: PT012
        assert libc.told == [(-3, 2**25), (-1, 2**30), (-2, 2**26)]
        raise KeyError
    assert libc.told[3:] == [(-1, 2**26), (-2, 0), ("trim", 0)]


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_has_tuned_is_left_alone(libc, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with keeping_freed_memory():
        pass
    assert libc.told == []


def test_other_systems_and_libraries_are_left_alone(libc, monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())  # musl
    with keeping_freed_memory():
        pass
    monkeypatch.setattr(module.sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    with keeping_freed_memory():
        pass


SCRIPT = """
import resource, sys, torch
from contextlib import nullcontext
from wellposed.train._allocator import keeping_freed_memory
def faults():
    for _ in range(5):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def step():
    kept = [torch.ones(2**20 + 1000 * k) for k in range(4)]  # 16 MiB in blocks of 4
plain = faults()
with keeping_freed_memory():
    print(plain, faults())
"""


@pytest.mark.simulation
@pytest.mark.skipif(sys.platform != "linux", reason="the thresholds are glibc's")
def test_no_page_is_cleared_twice():
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env={}, check=True
    )
    plain, kept = map(int, ran.stdout.split())
    assert kept < 2000
    assert kept < plain / 10 or plain < 2000  # where the system's own thresholds suffice
