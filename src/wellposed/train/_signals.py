"""Ctrl-C and SIGTERM as a wish to stop soon, not as an exception in the middle of a step."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, final


@final
class Signals(AbstractContextManager["Signals"]):
    """Inside the block, the first SIGINT or SIGTERM is only noted; a second one ends the process.

    Off the main thread, where Python allows no handlers, nothing is noted and nothing changes.

    Attributes:
        received: The number of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()

    def _note(self, number: int, _: FrameType | None) -> None:
        """Remember the first signal; let the second do what it does by default: end us."""
        if self.received is None:
            self.received = number
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
