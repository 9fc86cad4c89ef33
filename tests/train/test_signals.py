import os
import signal
import subprocess
import sys
import threading

import pytest

from wellposed.train import _signals
from wellposed.train._signals import Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_handlers_come_back(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process_at_once(number):
    script = (
        "import os, runpy\n"
        f"Signals = runpy.run_path({_signals.__file__!r})['Signals']\n"
        "with Signals():\n"
        f"    os.kill(os.getpid(), {number:d})\n"
        "    print('first', flush=True)\n"
        f"    os.kill(os.getpid(), {number:d})\n"
        "    print('second', flush=True)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ran.returncode == -number
    assert ran.stdout == "first\n"


def test_the_default_of_the_second_signal_is_put_back_before_it_is_sent_again(monkeypatch):
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    with Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signals.received == signal.SIGTERM
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_off_the_main_thread_nothing_changes():
    found = []

    def work():
        before = signal.getsignal(signal.SIGINT)
        with Signals() as signals:
            found.append((signals.received, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, True)]
