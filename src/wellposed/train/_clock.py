"""What training takes, without what evaluations and checkpoints take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(slots=True)
class Clock:
    """Seconds on the wall and of all CPU threads, counted while it runs; it can be resumed.

    Args:
        seconds: Counted before.
        cpu_seconds: Counted before.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    _since: tuple[float, float] | None = None

    def start(self) -> None:
        """Run."""
        self._since = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Stand still."""
        self.seconds, self.cpu_seconds = self.now()
        self._since = None

    def now(self) -> tuple[float, float]:
        """Seconds and CPU seconds so far."""
        if self._since is None:
            return self.seconds, self.cpu_seconds
        wall, cpu = self._since
        return (
            self.seconds + time.perf_counter() - wall,
            self.cpu_seconds + time.process_time() - cpu,
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still inside the block; go on after it, if it ran before."""
        ran = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if ran:
                self.start()

    def state_dict(self) -> dict[str, Any]:
        """The time so far."""
        seconds, cpu_seconds = self.now()
        return {"seconds": seconds, "cpu_seconds": cpu_seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Count on from a checkpoint."""
        self.seconds, self.cpu_seconds = state["seconds"], state["cpu_seconds"]
