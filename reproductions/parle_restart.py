"""Kill one of two replicas under torchrun at random moments; they rejoin, and lose no bit.

    python reproductions/parle_restart.py [--kills 10] [--control] [--out reproductions]

Two processes train Parle on digits, each with its own data order, batch norm and noise, and write
a checkpoint of their own at each third cycle. One undisturbed run, then one run per kill: SIGKILL
for a random one of the two after a random share of the training time (every third time while it
writes a checkpoint). torchrun starts both again, `meet` lets them find each other, and
`load_together` takes them to the newest checkpoint that both have. The final weights and statistics
of both must be those of the undisturbed run, byte for byte. With --control the same with torch's
own init_process_group instead of `meet`.

Writes parle-restart.jsonl (one line per kill) and parle-restart.md (a table). About four minutes.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from wellposed.data import Digits, load
from wellposed.optim import Parle, Replicas, meet
from wellposed.train import load_together, save_checkpoint

STEPS, EVERY = 240, 12
ARGUMENTS = {"inner_steps": 4, "rho": 0.5, "temperature": 1e-6}


def network() -> nn.Module:
    """The same in both replicas."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
    )


def batches() -> Callable[[int, int], tuple[Tensor, Tensor]]:
    """The batch of a step and a replica."""
    examples = load(Digits()).train

    def batch(step: int, replica: int) -> tuple[Tensor, Tensor]:
        order = torch.Generator().manual_seed(1000 * step + replica)
        chosen = torch.randint(len(examples), (32,), generator=order)
        return examples.inputs[chosen], examples.targets[chosen]

    return batch


def digest(model: nn.Module) -> str:
    """The sha256 of its weights and statistics."""
    content = b"".join(t.numpy().tobytes() for t in model.state_dict().values())
    return hashlib.sha256(content).hexdigest()


def train(folder: Path, steps: int, die_at: int | None, *, control: bool) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    if control:
        dist.init_process_group("gloo")
    else:
        meet("gloo", timeout=60)
    replicas = Replicas()
    mine = folder / f"replica-{replicas.rank}"
    model, batch = network(), batches()
    optimizer = Parle(model.parameters(), **ARGUMENTS, coupling=replicas)
    start = 0
    if (found := load_together(mine / "checkpoints", replicas)) is not None:
        model.load_state_dict(found.parts["model"])
        optimizer.load_state_dict(found.parts["optimizer"])
        start = found.step
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    (mine / f"attempt-{attempt}").write_text(f"{os.getpid()} {start}")
    for step in range(start, steps):
        if die_at == step and attempt == "0" and replicas.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = batch(step, replicas.rank)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            save_checkpoint(
                mine / "checkpoints",
                step + 1,
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
            )
    (mine / "final").write_text(digest(model))
    dist.destroy_process_group()


def start(folder: Path, *, control: bool) -> subprocess.Popen[bytes]:
    """Two processes under torchrun, which starts them again up to three times."""
    for rank in (0, 1):
        (folder / f"replica-{rank}").mkdir(parents=True)
    launcher = ["torch.distributed.run", "--nproc-per-node=2", "--max-restarts=3"]
    launcher += [f"--master-port={random.randint(20000, 60000)}"]
    worker = [__file__, "--worker", str(folder), *(["--control"] if control else [])]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", *launcher, *worker],
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def until(condition, process: subprocess.Popen[bytes], pause: float = 0.005) -> bool:
    """Wait for it; False if the process has ended before."""
    while not condition():
        if process.poll() is not None:
            return False
        time.sleep(pause)
    return True


def ends(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Whether all ends well in time; if not, it is ended."""
    try:
        return process.wait(timeout=patience) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def found_in(folder: Path) -> list[str]:
    """The digests of the final states."""
    files = [folder / f"replica-{rank}" / "final" for rank in (0, 1)]
    return [file.read_text() if file.exists() else "" for file in files]


def undisturbed(folder: Path) -> tuple[list[str], float]:
    """The digests that are right, and how long training takes."""
    process = start(folder, control=False)
    first = [folder / f"replica-{rank}" / "attempt-0" for rank in (0, 1)]
    if not until(lambda: all(f.exists() for f in first), process):
        sys.exit((folder / "output").read_text())
    begin = time.monotonic()
    until(lambda: all(found_in(folder)), process)
    seconds = time.monotonic() - begin
    if not ends(process, 300):
        sys.exit((folder / "output").read_text())
    return found_in(folder), seconds


def one_kill(
    folder: Path, right: list[str], after: float, *, writing: bool, control: bool
) -> dict[str, object] | None:
    """One run with one kill; None if it came to its end before."""
    process = start(folder, control=control)
    first = [folder / f"replica-{rank}" / "attempt-0" for rank in (0, 1)]
    if not until(lambda: all(f.exists() and f.read_text() for f in first), process):
        return {"rejoined": False, "same": False, "at": "start"}
    victim = random.randint(0, 1)
    pid = int(first[victim].read_text().split()[0])
    moment = time.monotonic() + after
    checkpoints = first[victim].parent / "checkpoints"

    def due() -> bool:
        late = time.monotonic() >= moment
        return late and (not writing or any(checkpoints.glob(".writing*")))

    if not until(due, process, 0.0005):
        return None
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    held = [
        max((int(p.name[5:]) for p in f.parent.glob("checkpoints/step-*")), default=0)
        for f in first
    ]
    rejoined = ends(process, 120)
    attempts = sorted(folder.glob("replica-0/attempt-*"))
    return {
        "victim": victim,
        "after_s": round(after, 2),
        "inside_a_write": writing,
        "newest_checkpoints": held,
        "went_on_from": [int(a.read_text().split()[1]) for a in attempts][1:],
        "rejoined": rejoined,
        "same": rejoined and found_in(folder) == right,
    }


def main() -> None:
    """Kill and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--worker", type=Path)
    parser.add_argument("--die-at", type=int)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--control", action="store_true")
    arguments = parser.parse_args()
    if arguments.worker is not None:
        train(arguments.worker, arguments.steps, arguments.die_at, control=arguments.control)
        return
    random.seed(0)
    lines: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as temporary:
        right, seconds = undisturbed(Path(temporary) / "undisturbed")
        while len(lines) < arguments.kills:
            share = random.random() * 0.9
            folder = Path(temporary) / f"{len(lines)}-{share}"
            line = one_kill(
                folder, right, share * seconds, writing=len(lines) % 3 == 2,
                control=arguments.control,
            )  # fmt: skip
            if line is not None:
                lines.append({"kill": len(lines), **line})
                sys.stdout.write(json.dumps(lines[-1]) + "\n")
                sys.stdout.flush()
    if arguments.control:
        return
    good = sum(bool(line["same"]) for line in lines)
    (arguments.out / "parle-restart.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    rows = "\n".join(
        f"| {n['kill']} | {n['victim']} | {n['after_s']} | {n['inside_a_write']} | "
        f"{n['newest_checkpoints']} | {n['went_on_from']} | {n['rejoined']} | {n['same']} |"
        for n in lines
    )
    (arguments.out / "parle-restart.md").write_text(
        f"# A killed replica rejoins\n\n`python reproductions/parle_restart.py --kills "
        f"{arguments.kills}`, torch {torch.__version__}, {platform.machine()}; undisturbed "
        f"training takes {seconds:.1f} s.\n\n**{good} of {len(lines)} killed trainings rejoined "
        "and ended with the bytes of the undisturbed one, in both replicas.**\n\n"
        "| kill | victim | after s | while writing | newest checkpoints | went on from | rejoined "
        f"| same bytes |\n|---|---|---|---|---|---|---|---|\n{rows}\n"
    )
    sys.exit(good < len(lines))


if __name__ == "__main__":
    main()
