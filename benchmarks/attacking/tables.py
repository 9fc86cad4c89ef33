"""The tables of `benchmarks/attacks.py`, and which targets are missed, from its log."""

import statistics
from typing import Any

from attacking.networks import KINDS, PAIRS

POINTS, EVALUATIONS, SECONDS, DIFFERENT, HALF = 0.2, 30, 20, 1, 2.0
PEERS = ("foolbox", "torchattacks", "ART")
OURS = "wellposed, bf16"
Row = dict[str, Any]

HEAD = """\
# Attacks: AutoAttack's robust accuracy, and PGD, beside other libraries

Written by `benchmarks/attacks.py` from its log, attacks.jsonl. The maximum norm; images from 0 to
1; the first 500 test images unless a line says otherwise; CPU seconds on one thread, in processes
where the entrants take turns. An example counts as broken if the network itself, asked once more
in float32, misclassifies what an entrant hands out.
"""
READING = """\
Evaluations: inputs that went through the network, with a gradient or without, counted by a
wrapper around it, the same for all; the flags and self-tests of `standard` are in them and in the
seconds. "points" is robust accuracy by `standard` less that by AutoAttack, the worst of three
seeds; "missed" and "extra" are examples that AutoAttack alone, or `standard` alone, breaks, by
seed. "differ" is in how many examples our mode `autoattack` (one seed) decides otherwise than
pyautoattack.
"""
PGD = """\
## PGD-40

Steps of a thirtieth of the radius (foolbox's default) from a uniform random point, 40 of them, in
all libraries; the peers get all 500 images as one batch. Five repeats in turn, median [least ..
greatest]. "x" is the time of the fastest of foolbox, torchattacks and ART in the same repeat over
that of the line, median. Asked for: ours at 2 or more, at equal or lower robust accuracy.
"outside" counts examples that leave the ball as real numbers, by rounding.
"""
HIDES = """\
## What the figures hide

- **What was chosen where.** The shares of `standard` come from the first 500 images of
  Fashion-MNIST, on another network like the first of these (robustness study, section 4). This
  benchmark led to five changes: the first rung begins where the gradient at the input points;
  flags look at 32 examples instead of 50, with 150 queries instead of 200, and at none where 98 %
  are broken, which followed a look at MNIST, plain; a rung meets at most twice its share of what
  is left, which followed one at CIFAR-10, plain; and targets race, as without that MNIST, plain,
  had 28 and 17 times. So these two lines are not held out. The race was found on images 1000 to
  1499: each climb that broke something had come near by its first checkpoint. On the two plain
  networks, four times 500 images, three seeds, it missed one example in one of 24 runs, for about
  half the gradients of its rung.
- **It is not within 0.2 points everywhere.** On the network of the preset `fashion-mnist-robust`
  (reproductions/fashion-mnist-robust.md), none of these, `standard` leaves 160, 159 and 159 of the
  first 200 images in three seeds, `full` 160, and AutoAttack 157: only FAB breaks the others, and
  no flag is raised. A rung of FAB with 50 steps for the nearest 5 % found one of them.
- **Not all in one process.** AutoAttack and `standard` take turns in one process per network;
  our `autoattack`, which the race leaves as it is, was measured before, in another.
- **Where AutoAttack is over after its first attack, there is less to gain.** On plain networks at
  these radii nearly everything breaks within a few steps: AutoAttack then pays for little more
  than 100 evaluations an image, and ours are a clean pass with its gradient, one or two more
  gradients and the confirmation.
- **Part of the ratio is a safety net left out.** Most of AutoAttack's time goes to FAB and Square,
  which `standard` replaces by flags. On networks that mask gradients the flags call for the full
  protocol, and the ratio is gone.
- One run of pyautoattack and of `autoattack` per network, as they take minutes. Other programs
  used the machine, and CPU seconds of the same call differ by up to a third: on MNIST, plain, where
  the ratio is nearest to its target, `standard` took 0.44, 0.56 and 0.64 s.
- PGD in float32 is 1.7 times as fast as the fastest peer on the robust network: the target is met
  by `Pool(256, precision="bf16")`, which needs a processor with bfloat16. A user who puts
  torchattacks under autocast by hand comes close; what it then says is judged in float32 here.
"""


def document(rows: list[Row]) -> str:
    """All of attacks.md."""
    parts = [HEAD]
    firsts = sorted({row["first"] for row in rows if row["task"] == "autoattack"})
    for first in firsts:
        parts.append(f"## AutoAttack: test images {first} to {first + 499}\n")
        parts.append("\n".join(_autoattack(rows, first)) + "\n")
    every = [f"{pair}, {kind}" for pair in PAIRS for kind in KINDS]
    lacking = [net for net in every if _compared(rows, net, 0) is None]
    if lacking:
        parts.append(f"Not measured yet: {'; '.join(lacking)}.\n")
    parts.append(READING)
    if any(row["task"] == "pgd" for row in rows):
        parts += [PGD, "\n".join(_pgd(rows)) + "\n"]
    wrong = missed(rows)
    parts.append("## Targets\n")
    parts.append(
        "\n".join(f"- missed: {words}" for words in wrong) + "\n" if wrong else "All met.\n"
    )
    parts += [HIDES, "## Networks\n", "\n".join(_networks(rows)) + "\n"]
    machine = dict(rows[-1]["machine"])
    loads = sorted(float(row["machine"]["load"].split()[0]) for row in rows)
    machine["load"] = f"{loads[0]} to {loads[-1]} on two cores, which other programs used as well"
    parts.append("Machine: " + ", ".join(f"{k} {v}" for k, v in machine.items()) + ".\n")
    return "\n".join(parts)


def missed(rows: list[Row]) -> list[str]:
    """What falls short, in words."""
    found = []
    for first in sorted({row["first"] for row in rows if row["task"] == "autoattack"}):
        for net in _names(rows, first):
            where = net if first == 0 else f"{net}, images from {first}"
            found += [f"{where}: {words}" for words in _short(_compared(rows, net, first))]
    for net in _names(rows, 0, "pgd"):
        found += [f"PGD-40, {net}: {words}" for words in _slow(*_times(rows, net))]
    return found


def _short(one: dict[str, Any] | None) -> list[str]:
    """What falls short of AutoAttack's on one network."""
    if one is None:
        return []
    says = {
        f"{one['points']:+.1f} points, asked for at most {POINTS}": one["points"] > POINTS + 1e-9,
        f"{one['evaluations']:.0f} times fewer evaluations, asked for {EVALUATIONS}": (
            one["evaluations"] < EVALUATIONS
        ),
        f"{one['seconds']:.0f} times less CPU time, asked for {SECONDS}": one["seconds"] < SECONDS,
        f"`autoattack` differs in {one['differ']} examples, asked for at most {DIFFERENT}": (
            (one["differ"] or 0) > DIFFERENT
        ),
    }
    return [words for words, wrong in says.items() if wrong]


def _slow(times: dict[str, list[float]], robust: dict[str, list[float]]) -> list[str]:
    """What falls short of the peers' PGD on one network."""
    peers = [peer for peer in PEERS if peer in times]
    if OURS not in times or not peers:
        return []
    ratio = _ratio(times, OURS)
    mean = {name: statistics.fmean(some) for name, some in robust.items()}
    worst = mean[OURS] - min(mean[peer] for peer in peers)
    found = [f"{ratio:.1f} times faster than the fastest peer, asked for {HALF:g}"]
    found = found if ratio < HALF else []
    if worst > 1e-9:
        found.append(f"mean robust accuracy {100 * worst:.2f} points above the lowest of a peer")
    return found


def _autoattack(rows: list[Row], first: int) -> list[str]:
    lines = [
        "| network | eps | clean | AutoAttack | `standard`, by seed | points | missed | extra "
        "| evaluations, AutoAttack / `standard` | x | CPU s, AutoAttack / `standard` | x "
        "| flags | `autoattack` | differ | its CPU s |",
        "|---|--:|--:|--:|---|--:|---|---|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    for net in _names(rows, first):
        one = _compared(rows, net, first)
        if one is None:
            continue
        peer, mine, exact = one["peer"], one["mine"], one["exact"]
        robust = ", ".join(f"{row['robust']:.1%}" for row in mine)
        flags = sorted({flag for row in mine for flag in row["remarks"]["flags"]})
        lines.append(
            f"| {net} | {peer['eps']:.3g} | {peer['clean']:.1%} | {peer['robust']:.1%} "
            f"| {robust} | {one['points']:+.1f} "
            f"| {', '.join(map(str, one['missed']))} | {', '.join(map(str, one['extra']))} "
            f"| {peer['forwards']:,} / {_median(mine, 'forwards'):,.0f} | {one['evaluations']:.0f} "
            f"| {peer['cpu_seconds']:.1f} / {_median(mine, 'cpu_seconds'):.2f} "
            f"| {one['seconds']:.0f} | {', '.join(flags) or 'none'} "
            + (
                f"| {exact['robust']:.1%} | {one['differ']} | {exact['cpu_seconds']:.0f} |"
                if exact
                else "| not run | | |"
            )
        )
    return lines


def _pgd(rows: list[Row]) -> list[str]:
    lines = [
        "| network | entrant | CPU s | x | robust, % | mean | forwards, in 1000 | outside |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for net in _names(rows, 0, "pgd"):
        times, robust = _times(rows, net)
        for name, seconds in times.items():
            some = _of(rows, "pgd", net, name, 0)[0]
            least, most = 100 * min(robust[name]), 100 * max(robust[name])
            lines.append(
                f"| {net} | {name} "
                f"| {statistics.median(seconds):.2f} [{min(seconds):.2f} .. {max(seconds):.2f}] "
                f"| {_ratio(times, name):.2f} "
                f"| {least:.1f} .. {most:.1f} | {100 * statistics.fmean(robust[name]):.2f} "
                f"| {some['forwards'] / 1000:.1f} | {some['outside']} |"
            )
    return lines


def _networks(rows: list[Row]) -> list[str]:
    lines = [
        "| network | weights | changes to the preset `fashion-mnist-robust` |",
        "|---|--:|---|",
    ]
    seen = {row["net"]: row for row in rows}
    lines += [
        f"| {net} | {seen[net]['weights']:,} | `{seen[net]['recipe']}` |" for net in _ordered(seen)
    ]
    return lines


def _compared(rows: list[Row], net: str, first: int) -> dict[str, Any] | None:
    """Ours beside AutoAttack's on one network; None until both have run."""
    peers = _of(rows, "autoattack", net, "pyautoattack", first)
    mine = _of(rows, "autoattack", net, "standard", first)
    exact = _of(rows, "autoattack", net, "autoattack", first)
    if not peers or not mine:
        return None
    peer, kept = peers[0], set(peers[0]["kept"])
    return {
        "peer": peer,
        "mine": mine,
        "exact": exact[0] if exact else None,
        "points": max(100 * (row["robust"] - peer["robust"]) for row in mine),
        "missed": [len(set(row["kept"]) - kept) for row in mine],
        "extra": [len(kept - set(row["kept"])) for row in mine],
        "evaluations": peer["forwards"] / _median(mine, "forwards"),
        "seconds": peer["cpu_seconds"] / _median(mine, "cpu_seconds"),
        "differ": len(kept ^ set(exact[0]["kept"])) if exact else None,
    }


def _times(rows: list[Row], net: str) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds and robust accuracies of the entrants, by repeat."""
    names = dict.fromkeys(r["entrant"] for r in rows if r["task"] == "pgd" and r["net"] == net)
    found = {name: _of(rows, "pgd", net, name, 0) for name in names}
    return (
        {name: [row["cpu_seconds"] for row in some] for name, some in found.items()},
        {name: [row["robust"] for row in some] for name, some in found.items()},
    )


def _ratio(times: dict[str, list[float]], name: str) -> float:
    """The fastest peer's time over this entrant's, the median over repeats."""
    rounds = zip(*(times[peer] for peer in PEERS if peer in times), strict=False)
    return statistics.median(min(t) / own for t, own in zip(rounds, times[name], strict=False))


def _of(rows: list[Row], task: str, net: str, entrant: str, first: int) -> list[Row]:
    wanted = (task, net, entrant, first)
    found = [r for r in rows if (r["task"], r["net"], r["entrant"], r["first"]) == wanted]
    return sorted(found, key=lambda row: row["seed"])


def _names(rows: list[Row], first: int, task: str = "autoattack") -> list[str]:
    return _ordered({row["net"] for row in rows if (row["task"], row["first"]) == (task, first)})


def _ordered(nets: Any) -> list[str]:
    return [f"{pair}, {kind}" for pair in PAIRS for kind in KINDS if f"{pair}, {kind}" in nets]


def _median(rows: list[Row], name: str) -> float:
    return float(statistics.median(row[name] for row in rows))
