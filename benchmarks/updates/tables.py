"""The figures as tables, and which targets they miss."""

import statistics

from updates.entrant import Entrant
from updates.kernels import STREAMS
from updates.measure import Timing
from updates.members import BASELINE

WITHIN = 1.15  # of the model, or of the kernels
STEP, NOISY_STEP = 1.10, 1.15  # of SGD's training step
LEVEL = 0.95  # a peer's time over ours: below, it is ahead
TEMPORARY = 0.01  # of the weights' bytes


def kernels(title: str, found: dict[str, Timing], size: int) -> None:
    """What a pass costs with torch's kernels."""
    print(f"\nTorch's kernels, {title}, over one pass of fused SGD")
    print(f"{'':12}{'us':>10}{'x':>7}{'streams':>9}{'streams/5':>11}{'GB/s':>7}")
    for name, t in found.items():
        ratio, streams = t.seconds / found["sgd"].seconds, STREAMS[name]
        rate = 4 * streams * size / t.seconds / 1e9
        print(
            f"{name:12}{t.seconds * 1e6:10.1f}{ratio:7.2f}{streams:9}{streams / 5:11.2f}{rate:7.1f}"
        )


def members(
    title: str,
    entrants: dict[str, Entrant],
    found: dict[str, Timing],
    own: dict[str, Timing],
) -> list[str]:
    """Each member against its models; which of them are missed."""
    base = found[BASELINE].seconds
    print(f"\nUpdate alone per gradient, {title}")
    print(
        f"{'':26}{'us':>9}{'x SGD':>7}{'quartiles':>15}{'streams':>9}{'model':>7}{'of it':>7}"
        f"{'kernels':>9}{'of it':>7}  verdict"
    )
    missed = []
    for name, entrant in entrants.items():
        t, passes = found[name], entrant.passes or {}
        drawn = entrant.draws * own["normal"].seconds / base
        model = entrant.streams() / 5 + drawn
        if "adamw" in passes:  # torch's AdamW alone is as far from the model
            spent = found["AdamW, fused"].seconds + _sum(passes, own, leave_out="adamw")
        else:
            spent = base - own["sgd"].seconds + _sum(passes, own)
        of_model, of_kernels = t.ratio / model, t.seconds / spent
        said = "met"
        if of_model > WITHIN:
            said = "kernels" if of_kernels <= WITHIN else "MISSED"
        if said == "MISSED":
            missed.append(
                f"{title}, {name}: {of_model:.2f} of the model, {of_kernels:.2f} of torch's "
                f"kernels, {(t.seconds - spent) * 1e6:.0f} us beyond them"
            )
        low, high = t.quartiles
        print(
            f"{name:26}{t.seconds * 1e6:9.1f}{t.ratio:7.2f}{f'{low:.2f} to {high:.2f}':>15}"
            f"{entrant.streams():9.1f}{model:7.2f}{of_model:7.2f}{spent / base:9.2f}"
            f"{of_kernels:7.2f}  {said}"
        )
    return missed


def _sum(passes: dict[str, float], own: dict[str, Timing], leave_out: str = "") -> float:
    return sum(own[name].seconds * count for name, count in passes.items() if name != leave_out)


def peers(
    title: str,
    ours: dict[str, Entrant],
    others: dict[str, Entrant],
    found: dict[str, Timing],
) -> list[str]:
    """Each peer, and how many times the member of the same method it takes."""
    print(f"\nPeers per gradient, {title}")
    print(f"{'':34}{'us':>9}{'x SGD':>7}  times ours")
    missed = []
    for name, entrant in others.items():
        t, said = found[name], []
        for own in (n for n, e in ours.items() if e.method and e.method == entrant.method):
            pairs = zip(t.all, found[own].all, strict=True)
            ratio = statistics.median(theirs / mine for theirs, mine in pairs)
            said.append(f"{ratio:.2f} {own}")
            if ratio < LEVEL:
                missed.append(f"{title}, {own}: {name} takes {ratio:.2f} of its time")
        print(f"{name:34}{t.seconds * 1e6:9.1f}{t.ratio:7.2f}  {', '.join(said)}")
    return missed


def memory(ours: dict[str, Entrant], held: dict[str, float]) -> list[str]:
    """What a step allocates and frees."""
    print("\nPeak of what a step allocates, over the weights' bytes, ResNet-18")
    for name, peak in held.items():
        print(f"{name:34}{peak:9.4f}")
    return [
        f"{name}: a step allocates {held[name]:.2f} times the weights"
        for name in ours
        if held[name] > TEMPORARY
    ]


def steps(title: str, ours: dict[str, Entrant], found: dict[str, Timing]) -> list[str]:
    """Whole training steps."""
    print(f"\n{title}, per gradient")
    print(f"{'':26}{'us':>10}{'x SGD':>7}{'quartiles':>15}  target")
    missed = []
    for name, t in found.items():
        said = ""
        if name in ours:
            target = NOISY_STEP if ours[name].draws else STEP
            fine = t.ratio <= target
            said = f"{target:.2f} {'met' if fine else 'MISSED'}"
            if not fine:
                missed.append(f"{title}, {name}: {t.ratio:.2f} of SGD's")
        low, high = t.quartiles
        print(
            f"{name:26}{t.seconds * 1e6:10.1f}{t.ratio:7.2f}"
            f"{f'{low:.2f} to {high:.2f}':>15}  {said}"
        )
    return missed


def verdict(missed: list[str]) -> None:
    """What is not as it should be."""
    print("\nAll targets are met." if not missed else "\nNot met:")
    for line in missed:
        print(f"- {line}")
