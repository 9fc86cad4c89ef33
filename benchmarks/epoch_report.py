"""The table of `epoch.py`, from the numbers in epoch.json."""

from math import sqrt
from statistics import median
from typing import Any

BASE = "limit float32, contiguous"
BAR = {"mlp": 1.25, "lenet": 1.05, "smallcnn": 1.05}


def report(found: dict[str, Any]) -> str:
    """Markdown: one table per net, then what the bars say."""
    lines = [
        "# One training epoch, side by side",
        "",
        f"{found['cpu']}, {found['cores']} cores, one thread on one core; {found['date']}; "
        f"`{found['command']}` took {found['seconds']} s (load before: "
        f"{found['load_before']:.1f}).",
        f"Versions: {_versions(found)}.",
        "",
        "Fashion-MNIST in memory, batches of 128, SGD with momentum. Per epoch: median of n "
        "interleaved epochs after a warm-up epoch (which takes compilation and the choice of "
        "precision), in brackets least and greatest. Ratio: to `limit float32, contiguous` in "
        "the same round, median of n, in brackets least and greatest. Accuracy: on the 10,000 "
        "test images after the same number of epochs, one seed, with its standard error.",
    ]
    for net, values in found["nets"].items():
        lines += ["", *_table(net, values)]
    return "\n".join(lines) + "\n"


def _versions(found: dict[str, Any]) -> str:
    versions: dict[str, str] = {}
    for values in found["nets"].values():
        for entrant in values["entrants"].values():
            versions |= entrant.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _table(net: str, values: dict[str, Any]) -> list[str]:
    entrants = values["entrants"]
    head = f"{values['images']:,} images, {values['repeats'] + 1} epochs, n = {values['repeats']}"
    rows = [
        f"## {net} ({head})",
        "",
        "| entrant | CPU s per epoch | wall s | ratio (CPU) | test accuracy | how |",
        "|---|---|---|---|---|---|",
    ]
    order = sorted(entrants, key=lambda name: (_cpu(entrants[name]), name))
    rows += [_row(name, entrants[name], entrants.get(BASE)) for name in order]
    return [*rows, "", *_verdicts(net, entrants)]


def _row(name: str, entrant: dict[str, Any], base: dict[str, Any] | None) -> str:
    bold = f"**{name}**" if entrant["group"] == "wellposed" else name
    if entrant["failed"]:
        return f"| {bold} | failed | | | | {entrant['failed'].replace('|', '/')} |"
    cells = [bold, _spread(_seconds(entrant)), f"{median(_seconds(entrant, 'wall')):.3f}"]
    cells.append(_spread(_ratios(entrant, base), 2) if base and not base["failed"] else "")
    accuracy = entrant["accuracy"]
    error = sqrt(accuracy * (1 - accuracy) / 10_000)
    cells.append(f"{100 * accuracy:.1f} ± {100 * error:.1f} %")
    facts = ", ".join(str(value) for value in entrant["facts"].values())
    cells.append("; ".join(filter(None, [facts, entrant["note"]])))
    return "| " + " | ".join(cells) + " |"


def _verdicts(net: str, entrants: dict[str, Any]) -> list[str]:
    lines = []
    alive = {name: e for name, e in entrants.items() if not e["failed"]}
    ours = {name: e for name, e in alive.items() if e["group"] == "wellposed"}
    for name, entrant in ours.items():
        same = f"limit {entrant['facts']['dtype']}, {entrant['facts']['memory_format']}"
        for limit in (same, f"{same}, memory kept"):
            if limit in alive:
                ratio = _ratios(entrant, alive[limit])
                bar = f" (bar {BAR[net]:.2f}: {_met(median(ratio), BAR[net])})"
                lines.append(f"- {name} / {limit}: {_spread(ratio, 2)}{bar * (limit == same)}")
    auto = ours.get("wellposed auto")
    for group in ("peer", "tuned by hand"):
        rivals = {name: e for name, e in alive.items() if e["group"] == group}
        if auto and rivals:
            name, best = min(rivals.items(), key=lambda item: _cpu(item[1]))
            ratio = _ratios(auto, best)
            kind = "the fastest peer" if group == "peer" else "the fastest one tuned by hand"
            bar = f" (bar 1: {_met(median(ratio), 1.0)})" if group == "peer" else ""
            gap = 100 * (auto["accuracy"] - best["accuracy"])
            lines.append(
                f"- wellposed auto / {name}, {kind}: {_spread(ratio, 2)}{bar}; "
                f"accuracy {gap:+.1f} points"
            )
    return lines


def _met(value: float, bar: float) -> str:
    return "met" if value <= bar else "missed"


def _seconds(entrant: dict[str, Any], clock: str = "cpu") -> list[float]:
    return [epoch[clock] for epoch in entrant["epochs"]]


def _cpu(entrant: dict[str, Any]) -> float:
    return float("inf") if entrant["failed"] else median(_seconds(entrant))


def _ratios(entrant: dict[str, Any], other: dict[str, Any]) -> list[float]:
    return [a / b for a, b in zip(_seconds(entrant), _seconds(other), strict=True)]


def _spread(values: list[float], digits: int = 3) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
