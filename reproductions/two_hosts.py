"""Two hosts that share nothing but a network train together: Parle in two network namespaces.

    sudo python reproductions/two_hosts.py [--kill] [--out reproductions]

Two namespaces joined by a pair of virtual network cards stand for two hosts, each with an address,
a loopback and a torchrun of its own; all that passes between them is counted by the card. Both
train one replica of Parle on digits. The weights must be, byte for byte, those of the same replicas
in one process. With --kill the second host's worker is killed after a second: both agents then
start theirs again, they meet across the network, and the weights must still be the same.

Needs Linux, the right to make namespaces, and iproute2; says so and ends with status 0 where it is
not allowed. Writes two-hosts.md. Takes about a minute; what it made it removes again.
"""

import argparse
import json
import os
import platform
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from wellposed.optim import Parle

WORKER = Path(__file__).with_name("parle_restart.py")
SCRIPT = runpy.run_path(str(WORKER))
STEPS, PATIENCE = 240, 240


def ip(*arguments: str) -> str:
    """What `ip` prints.

    Raises:
        PermissionError: If it refuses.
    """
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def two_hosts() -> Iterator[list[str]]:
    """Names of two namespaces that see each other as 10.77.0.1 and 10.77.0.2, and nothing else."""
    names = [f"wellposed-{os.getpid()}-{i}" for i in (1, 2)]
    made: list[str] = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        first, second = names
        ip("link", "add", "card", "netns", first, "type", "veth", "peer", "card", "netns", second)
        for i, name in enumerate(names, 1):
            ip("-n", name, "address", "add", f"10.77.0.{i}/24", "dev", "card")
            ip("-n", name, "link", "set", "card", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in made:  # the cards go with them
            ip("netns", "delete", name)


def sent(name: str) -> int:
    """Bytes that a host has sent and received over its card."""
    stats = json.loads(ip("-n", name, "-s", "-j", "link", "show", "card"))[0]["stats64"]
    return int(stats["rx"]["bytes"]) + int(stats["tx"]["bytes"])


def agent(name: str, node: int, folder: Path) -> subprocess.Popen[bytes]:
    """The torchrun of one host, with one worker."""
    command = [
        "ip", "netns", "exec", name, sys.executable, "-W", "ignore", "-m", "torch.distributed.run",
        "--nnodes=2", "--nproc-per-node=1", "--max-restarts=3", "--rdzv-backend=c10d",
        "--rdzv-endpoint=10.77.0.1:29400", f"--local-addr=10.77.0.{node}",
        f"--rdzv-conf=is_host={int(node == 1)}",
        str(WORKER), "--worker", str(folder), "--steps", str(STEPS),
    ]  # fmt: skip
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "card", "OMP_NUM_THREADS": "1"}
    with (folder / f"output-{node}").open("wb") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )


def kill_a_worker(folder: Path) -> None:
    """Kill the second host's worker, a second after it has begun."""
    file = folder / "replica-1" / "attempt-0"
    deadline = time.monotonic() + PATIENCE
    while not (file.exists() and file.read_text()):
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)
    time.sleep(1)
    os.kill(int(file.read_text().split()[0]), signal.SIGKILL)


def in_one_process() -> list[str]:
    """The digests of the same replicas as groups of one optimizer."""
    torch.set_num_threads(1)  # as the workers: sums are rounded in another order otherwise
    models, batch = [SCRIPT["network"]() for _ in range(2)], SCRIPT["batches"]()
    groups = [{"params": m.parameters(), "replica": a} for a, m in enumerate(models)]
    optimizer = Parle(groups, **SCRIPT["ARGUMENTS"])
    for step in range(STEPS):
        optimizer.zero_grad()
        for replica, model in enumerate(models):
            x, y = batch(step, replica)
            nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return [SCRIPT["digest"](model) for model in models]


def train(folder: Path, *, kill: bool) -> tuple[list[str], int, int]:
    """Digests of the final states, bytes that passed, and how often workers were started again."""
    for rank in (0, 1):
        (folder / f"replica-{rank}").mkdir()
    with two_hosts() as names:
        agents = [agent(name, i, folder) for i, name in enumerate(names, 1)]
        try:
            if kill:
                kill_a_worker(folder)
            codes = [a.wait(timeout=PATIENCE) for a in agents]
        finally:
            for a in agents:
                if a.poll() is None:
                    os.killpg(a.pid, signal.SIGKILL)
                    a.wait()
        passed = sent(names[0])
    if any(codes):
        sys.exit((folder / "output-1").read_text() + (folder / "output-2").read_text())
    finals = [(folder / f"replica-{rank}" / "final").read_text() for rank in (0, 1)]
    return finals, passed, len(list((folder / "replica-1").glob("attempt-*"))) - 1


def main() -> None:
    """Train, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--kill", action="store_true")
    arguments = parser.parse_args()
    if sys.platform != "linux" or shutil.which("ip") is None:
        sys.stdout.write("skipped: two hosts are made by `ip netns` of Linux, which is missing\n")
        return
    try:
        with two_hosts():
            pass
    except PermissionError as error:
        sys.stdout.write(f"skipped: network namespaces cannot be made here ({error})\n")
        return
    right = in_one_process()
    rows = []
    for kill in (False, True) if arguments.kill else (False,):
        with tempfile.TemporaryDirectory() as folder:
            finals, passed, restarts = train(Path(folder), kill=kill)
        if finals != right:
            sys.exit(f"the weights differ: {finals} on two hosts, {right} in one process")
        rows.append((kill, restarts, passed))
        sys.stdout.write(f"the same bytes; killed: {kill}, restarts: {restarts}, {passed} bytes\n")
    weights = 4 * sum(p.numel() for p in SCRIPT["network"]().parameters())
    cycles = STEPS // SCRIPT["ARGUMENTS"]["inner_steps"]
    table = "\n".join(
        f"| {'yes' if kill else 'no'} | {restarts} | {passed} | {passed / weights / cycles:.2f} |"
        for kill, restarts, passed in rows
    )
    (arguments.out / "two-hosts.md").write_text(
        f"# Two hosts train together\n\n`python reproductions/two_hosts.py --kill`, torch "
        f"{torch.__version__}, {platform.machine()}; {STEPS} gradients per replica, {cycles} "
        f"cycles, {weights} bytes of weights.\n\n**Both replicas have the bytes of the same two "
        "replicas in one process.** The traffic is what passed through the first host's card in "
        "both directions, everything included; gradients exchanged at each step would be "
        f"{STEPS // cycles} times as much.\n\n"
        "| worker killed | restarts | bytes on the wire | per cycle, in copies of the weights |\n"
        f"|---|---|---|---|\n{table}\n"
    )


if __name__ == "__main__":
    main()
