"""Train one entrant, epoch by epoch, each when the driver says so: `python -m peers ...`.

The driver talks over two pipes. At the end of each epoch the entrant writes what the epoch cost
and waits for a line before the next one, so that the epochs of all entrants can be interleaved;
the driver stops the process (SIGSTOP) while others have their turn.
"""

import argparse
import json
import os
import resource
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers.task import Task


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("net")
    parser.add_argument("folder", type=Path)
    parser.add_argument("epochs", type=int)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("hear", type=int)
    parser.add_argument("say", type=int)
    given = parser.parse_args()
    turns = _Turns(given.hear, given.say, given.epochs)
    try:
        _train(given, turns)
    except BaseException as error:
        turns.say({"failed": f"{type(error).__name__}: {error}".splitlines()[0][:300]})
        raise


def _train(given: argparse.Namespace, turns: "_Turns") -> None:
    import torch

    torch.set_num_threads(1)
    task = Task.read(given.net, given.folder)
    module = import_module(f"peers.{given.module}")
    predict = module.train(task, given.epochs, turns.end_of_epoch, **given.options)
    turns.say(
        {
            "accuracy": float((predict(task.test_inputs).argmax(1) == task.test_targets).mean()),
            "versions": {name: version(name) for name in module.PACKAGES},
            "note": module.NOTE,
            "facts": getattr(module, "FACTS", {}),
        }
    )


class _Turns:
    """Says what each epoch cost, and waits for the next turn."""

    def __init__(self, hear: int, say: int, epochs: int) -> None:
        self._hear = os.fdopen(hear)
        self._say = os.fdopen(say, "w")
        self._left = epochs
        self._start()

    def say(self, message: dict[str, Any]) -> None:
        print(json.dumps(message), file=self._say, flush=True)

    def end_of_epoch(self) -> None:
        cpu, wall = _cpu_seconds() - self._cpu, time.perf_counter() - self._wall
        self.say({"cpu": cpu, "wall": wall})
        self._left -= 1
        if self._left:
            self._hear.readline()
            self._start()

    def _start(self) -> None:
        self._cpu, self._wall = _cpu_seconds(), time.perf_counter()


def _cpu_seconds() -> float:
    """Of all threads, and of children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
