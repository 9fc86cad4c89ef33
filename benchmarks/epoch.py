"""What one training epoch costs: ours, the limit, and the same by ten other ways, side by side.

    python benchmarks/epoch.py                     # everything, about 15 minutes
    python benchmarks/epoch.py --nets mlp --repeats 3 --peers wellposed "limit float32" keras-jax

Each entrant is a process of its own on one core with one thread, attached to a terminal (so that
it draws its progress bar). After a warm-up epoch the entrants take turns, one epoch each, in a
random order per round; while one runs, the others are stopped. See benchmarks/README.md.
"""

import argparse
import contextlib
import fcntl
import gzip
import json
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from epoch_report import report

HERE = Path(__file__).parent
PATIENCE = 600  # seconds for the warm-up, or for one epoch, before an entrant is given up
IMAGES = {"mlp": 60_000, "lenet": 12_800, "smallcnn": 12_800}
REPEATS = {"mlp": 7, "lenet": 5, "smallcnn": 3}


@dataclass(frozen=True)
class Entrant:
    """A way to train: a module of benchmarks/peers, its options, and the nets it enters for."""

    module: str
    options: dict[str, Any] = field(default_factory=dict)
    nets: tuple[str, ...] = ("mlp", "lenet", "smallcnn")
    group: str = "peer"


def _limits() -> dict[str, Entrant]:
    limits = {}
    for keep_memory in (False, True):
        for dtype in ("float32", "bf16"):
            for layout in ("contiguous", "channels_last"):
                options = {"dtype": dtype, "layout": layout, "keep_memory": keep_memory}
                nets = ("mlp", "lenet", "smallcnn") if layout == "contiguous" else IMAGES_ONLY
                name = f"limit {dtype}, {layout}{', memory kept' * keep_memory}"
                limits[name] = Entrant("limit", options, nets, "limit")
    return limits


IMAGES_ONLY = ("lenet", "smallcnn")
ENTRANTS = {
    **_limits(),
    "wellposed auto": Entrant("wellposed", {"precision": "auto"}, group="wellposed"),
    "wellposed float32": Entrant("wellposed", {"precision": "float32"}, group="wellposed"),
    "script": Entrant("script"),
    "script, batches sliced": Entrant("script", {"batches": "sliced"}),
    "lightning": Entrant("lightning"),
    "fabric": Entrant("fabric"),
    "skorch": Entrant("skorch"),
    "accelerate": Entrant("accelerate"),
    "transformers": Entrant("transformers"),
    "ignite": Entrant("ignite"),
    "fastai": Entrant("fastai"),
    "keras on torch": Entrant("keras", {"backend": "torch", "layout": "channels_first"}),
    "keras on jax": Entrant("keras", {"backend": "jax", "layout": "channels_last"}),
    "script, tuned by hand": Entrant(
        "script", {"batches": "sliced", "bf16": True}, group="tuned by hand"
    ),
    "lightning bf16-mixed": Entrant(
        "lightning", {"precision": "bf16-mixed"}, group="tuned by hand"
    ),
}


class Worker:
    """An entrant's process; stopped unless it is its turn."""

    def __init__(self, entrant: Entrant, net: str, data: Path, epochs: int, core: int) -> None:
        self.epochs: list[dict[str, float]] = []
        self.result: dict[str, Any] = {}
        self.failed = ""
        self._tail = b""
        self._buffer = b""
        hear, self._tell = os.pipe()
        self._listen, say = os.pipe()
        terminal, its_terminal = pty.openpty()
        fcntl.ioctl(its_terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        options = json.dumps(entrant.options)
        command = ["taskset", "-c", str(core), sys.executable, "-m", "peers", entrant.module]
        self._process = subprocess.Popen(
            [*command, net, str(data), str(epochs), options, str(hear), str(say)],
            cwd=data,
            env=_environment(data),
            stdin=its_terminal,
            stdout=its_terminal,
            stderr=its_terminal,
            pass_fds=(hear, say),
            start_new_session=True,
        )
        for descriptor in (hear, say, its_terminal):
            os.close(descriptor)
        threading.Thread(target=self._drain, args=(terminal,), daemon=True).start()

    def answer(self) -> dict[str, Any]:
        """Its next message; sets `failed` if there is none."""
        stop = time.monotonic() + PATIENCE
        while b"\n" not in self._buffer:
            ready, *_ = select.select([self._listen], [], [], max(0.0, stop - time.monotonic()))
            read = os.read(self._listen, 65536) if ready else b""
            if not read:
                reason = "ended without a word" if ready else f"no answer within {PATIENCE} s"
                self.failed = self.failed or f"{reason}: {self._last_line()}"
                return {}
            self._buffer += read
        line, self._buffer = self._buffer.split(b"\n", 1)
        message = json.loads(line)
        self.failed = message.get("failed", "")
        return {} if self.failed else message

    def turn(self) -> None:
        """Let it train one epoch, alone."""
        self._signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):
            os.write(self._tell, b"go\n")
        epoch = self.answer()
        if epoch:
            self.epochs.append(epoch)
        self.pause()

    def finish(self) -> None:
        """Let it evaluate itself and end."""
        self._signal(signal.SIGCONT)
        if not self.failed:
            self.result = self.answer()
        self.close()

    def pause(self) -> None:
        """Stop it until its next turn."""
        self._signal(signal.SIGSTOP)

    def move(self, core: int) -> None:
        """All its threads, to this core."""
        for task in Path(f"/proc/{self._process.pid}/task").glob("*"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), {core})

    def close(self) -> None:
        """Make sure that it is gone."""
        if self.result:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _drain(self, terminal: int) -> None:
        """Read what it draws, as a terminal would, and keep the end."""
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while drawn := os.read(terminal, 65536):
                self._tail = (self._tail + drawn)[-4000:]

    def _last_line(self) -> str:
        lines = self._tail.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]


def _environment(scratch: Path) -> dict[str, str]:
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    homes = dict.fromkeys(("KERAS_HOME", "FASTAI_HOME", "HF_HOME", "MPLCONFIGDIR"), str(scratch))
    return (
        os.environ
        | one
        | homes
        | {
            "OMP_WAIT_POLICY": "PASSIVE",
            "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
            "JAX_PLATFORMS": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "TERM": "xterm-256color",
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        }
    )


def measure(
    net: str, names: list[str], data: Path, repeats: int, order: random.Random
) -> dict[str, dict[str, Any]]:
    """The epochs of all entrants for one net, in turns."""
    *others, core = sorted(os.sched_getaffinity(0))
    cores = [core, *others[-1:]]
    workers: dict[str, Worker] = {}
    try:
        for start in range(0, len(names), len(cores)):  # warm-ups are not timed: one per core
            together = dict(zip(names[start : start + len(cores)], cores, strict=False))
            for name, its_core in together.items():
                workers[name] = Worker(ENTRANTS[name], net, data, repeats + 1, its_core)
            for name in together:
                workers[name].answer()
                workers[name].pause()
                workers[name].move(core)
                print(f"  {net}: {name}: {workers[name].failed or 'warm'}", flush=True)
        for number in range(repeats):
            alive = [name for name in names if not workers[name].failed]
            order.shuffle(alive)
            for name in alive:
                workers[name].turn()
                if number == repeats - 1:
                    workers[name].finish()
            print(f"  {net}: round {number + 1} of {repeats}", flush=True)
    finally:
        for worker in workers.values():
            worker.close()
    return {
        name: {
            "group": ENTRANTS[name].group,
            "options": ENTRANTS[name].options,
            "epochs": worker.epochs,
            "failed": worker.failed,
            **worker.result,
        }
        for name, worker in workers.items()
    }


def write_data(source: Path, folder: Path, images: int) -> None:
    """Fashion-MNIST as float32, standardized by the first `images` training images."""
    train, test = (_idx(source / f"{part}-images-idx3-ubyte.gz", 16) for part in ("train", "t10k"))
    train = train.reshape(-1, 784)[:images].astype(np.float32)
    mean, std = train.mean(dtype=np.float64), train.std(dtype=np.float64)
    np.save(folder / "inputs.npy", ((train - mean) / std).astype(np.float32))
    np.save(folder / "test_inputs.npy", ((test.reshape(-1, 784) - mean) / std).astype(np.float32))
    targets = _idx(source / "train-labels-idx1-ubyte.gz", 8)[:images]
    np.save(folder / "targets.npy", targets.astype(np.int64))
    np.save(folder / "test_targets.npy", _idx(source / "t10k-labels-idx1-ubyte.gz", 8))


def _idx(path: Path, offset: int) -> np.ndarray[Any, Any]:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((li.split(":")[1].strip() for li in lines if li.startswith("model name")), "?")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=IMAGES, default=list(IMAGES))
    parser.add_argument("--peers", nargs="+", help="entrants whose names start so; default: all")
    parser.add_argument("--repeats", type=int, help="timed epochs; default: 7, 5, 3 by net")
    parser.add_argument("--images", type=int, help="default: 60000 for mlp, else 12800")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the turns")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of epoch.md, epoch.json")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no entrant is left behind
    source = Path(os.environ["WELLPOSED_DATA"]) / "fashion-mnist"
    chosen = tuple(given.peers or [""])
    order = random.Random(given.seed)
    start = time.time()
    found: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/epoch.py", *sys.argv[1:]]),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "nets": {},
    }
    for net in given.nets:
        names = [n for n, e in ENTRANTS.items() if n.startswith(chosen) and net in e.nets]
        images, repeats = given.images or IMAGES[net], given.repeats or REPEATS[net]
        with tempfile.TemporaryDirectory(prefix="epoch-") as scratch:
            write_data(source, Path(scratch), images)
            entrants = measure(net, names, Path(scratch), repeats, order)
        found["nets"][net] = {"images": images, "repeats": repeats, "entrants": entrants}
        found["seconds"] = round(time.time() - start)
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "epoch.json").write_text(json.dumps(found, indent=1) + "\n")
        (given.out / "epoch.md").write_text(report(found))
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
