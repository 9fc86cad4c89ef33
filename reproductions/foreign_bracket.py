"""Brackets of networks that were not written for this project, or the reason why there is none.

- `zoo`: the seven architectures of tests/audit/zoo.py with random weights and after three epochs on
  the digits: the attacks, every method of certificates, the bracket and the audit's check.
- `strangers`: some ninety modules in the style of public model zoos, tests/certify/strangers.py,
  with random weights: three balls, every method and attack. The least margin that any attack or
  five hundred random points find must not be below any bound.

    OMP_NUM_THREADS=1 python reproductions/foreign_bracket.py

A row of foreign-bracket.jsonl is one module; a study that was stopped goes on. It writes
foreign-bracket.md.
"""

import sys
import time
import warnings
from pathlib import Path

import torch
from _study import HERE, Log

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.audit import zoo
from tests.certify.strangers import STRANGERS, made

from wellposed.audit import Subject, bracket, robustness
from wellposed.certify import METHODS, certify, lipschitz, trace
from wellposed.errors import ArgumentError
from wellposed.perturb import (
    APGD,
    FAB,
    FGSM,
    FMN,
    L1,
    L2,
    PGD,
    Linf,
    LogBarrier,
    Square,
    TargetedAPGD,
)
from wellposed.runs import provenance

RADII, IMAGES = (0.001, 0.005), 16
ATTACKS = {
    "FGSM": FGSM(), "PGD": PGD(steps=10), "APGD": APGD(steps=20),
    "TargetedAPGD": TargetedAPGD(steps=10), "FAB": FAB(steps=10), "FMN": FMN(steps=20),
    "LogBarrier": LogBarrier(outer=2, inner=50), "Square": Square(queries=100),
}  # fmt: skip
BALLS = (Linf(0.1), L2(0.5), L1(1.0))
POINTS = 500


def said(function):
    """What it returns, or the sentence with which it refuses."""
    try:
        return function(), ""
    except ArgumentError as error:
        return None, str(error)


def margins(model, inputs, labels):
    with torch.no_grad():
        outputs = model(inputs).double()
    if outputs.dim() == 1:
        return torch.where(labels == 1, outputs, -outputs)
    own = outputs.gather(1, labels[:, None])[:, 0]
    return own - outputs.scatter(1, labels[:, None], -torch.inf).amax(1)


def attacked(model, x, y, ball, seed=0):
    """The least margin of each example, and what the attacks refuse."""
    generator = torch.Generator().manual_seed(seed)
    found, refused = [], {}
    for name, attack in ATTACKS.items():
        result, why = said(lambda a=attack: a(model, x, y, ball))
        if result is None:
            refused[name] = why
        else:
            found.append(margins(model, result.examples, y))
    if not found:
        return None, refused
    least = torch.stack(found).amin(0)
    for _ in range(POINTS // 50):
        many = x.repeat_interleave(50, 0)
        points = ball.random(many, generator=generator)
        least = least.minimum(
            margins(model, points, y.repeat_interleave(50)).reshape(-1, 50).amin(1)
        )
    return least, refused


def stranger(name):
    """One module: how often a bound was above a value, and what was refused."""
    began = time.process_time()
    model, x = made(name, scale=1.5), inputs_of(name)
    y = labels_of(model, x)
    graph, why = said(lambda: read(model, x, y))
    row = {"refused": why, "bounds": 0, "wrong": 0, "both": 0, "closest": 1.0, "attacks": {}}
    for ball in BALLS:
        least, refused = attacked(model, x, y, ball)
        row["attacks"] |= refused
        for method in (*METHODS, "auto") if graph is not None else ():
            found = certify(graph, x, y, ball, method=method)
            row["bounds"] += len(x)
            row["wrong"] += int((~(found.margin <= least)).sum())
            row["both"] += int((found.certified & (least <= 0)).sum())
            gap = float(((least - found.margin) / (1 + least.abs())).min())
            row["closest"] = min(row["closest"], gap)
    if graph is not None:
        constant, why = said(lambda: lipschitz(graph))
        row["lipschitz"] = why or constant.constant
    return row | {"cpu_seconds": round(time.process_time() - began, 2)}


def inputs_of(name):
    kind, generator = STRANGERS[name], torch.Generator().manual_seed(1)
    if kind.dtype == torch.int64:
        return torch.randint(0, 9, (3, *kind.shape), generator=generator)
    return torch.rand((3, *kind.shape), generator=generator).to(kind.dtype)


def labels_of(model, x):
    """What the network says, where it says logits."""
    with torch.no_grad():
        outputs = model(x)
    if not isinstance(outputs, torch.Tensor) or outputs.dim() not in (1, 2):
        return torch.zeros(len(x), dtype=torch.long)
    return outputs.argmax(1) if outputs.dim() == 2 else (outputs > 0).long()


def read(model, x, y):
    """The network as certificates see it, if they do."""
    certify(model, x, y, Linf(0.01), method="ibp")
    return trace(model, x.shape[1:])


def subject(kind, weights):
    """One architecture."""
    model = zoo.made(kind) if weights == "random" else zoo.trained(kind)
    model.eval()
    parts = zoo.digits(kind)
    x, y = (part[:IMAGES] for part in parts["test"])
    began = time.process_time()
    found, why = said(lambda: bracket(model, x, y, RADII, budget="fast", method="crown"))
    row = {"bracket": why}
    if found is not None:
        row |= {"reason": found.reason, "clean": found.accuracy, "unbroken": found.upper}
        row |= {"crown": found.lower, "cpu_seconds": round(time.process_time() - began, 1)}
        for method in METHODS[:2] if not found.reason else ():
            row[method] = [
                float(certify(model, x, y, Linf(eps), method=method).certified.double().mean())
                for eps in RADII
            ]
    _, refused = (None, {}) if x.dtype == torch.int64 else attacked(model, x, y, Linf(RADII[1]))
    judged = Subject(model, parts, input_range=(0.0, 1.0))
    settings = {"examples": 50, "budget": "fast", "method": "crown-ibp"}
    checked, why = said(lambda: robustness(judged, **settings))
    row |= {"attacks": refused, "check": why or f"{checked.verdict.value}: {checked.statement}"}
    return row


def main():
    warnings.simplefilter("ignore")
    log = Log("foreign-bracket")
    if "tables" not in sys.argv:
        log.once({"kind": "machine"}, lambda: {"provenance": provenance({"weights": 0})})
        for name in STRANGERS:
            log.once({"kind": "stranger", "name": name}, lambda n=name: stranger(n))
        for kind in zoo.ZOO:
            for weights in ("random", "trained"):
                key = {"kind": "zoo", "name": kind, "weights": weights}
                log.once(key, lambda k=kind, w=weights: subject(k, w))
    (HERE / "foreign-bracket.md").write_text(table(log))


def share(values):
    return ", ".join(f"{100 * value:.0f}" for value in values)


def table(log):
    lines = [
        "# Brackets of foreign networks",
        "",
        "Written by `reproductions/foreign_bracket.py`; log: foreign-bracket.jsonl.",
        "",
        f"Seven architectures in the style of public model zoos (tests/audit/zoo.py), on {IMAGES} "
        f"test digits, L-inf radii {RADII[0]} and {RADII[1]} of [0, 1]; shares in per cent, CPU "
        "seconds of the whole bracket, attacks included; the check `robustness` on 50 digits with "
        '"fast" and "crown-ibp". Tokens have no small changes, which every part says.',
        "",
        "| network | weights | clean | unbroken | proven: ibp | crown-ibp | crown | CPU s "
        "| the audit's check | refused |",
        "|---|---|--:|--:|--:|--:|--:|--:|---|---|",
    ]
    lines += [_zoo(row) for row in log.find(kind="zoo")]
    every = log.find(kind="stranger")
    known = [row for row in every if not row["refused"]]
    bounds, wrong, both = (sum(row[key] for row in known) for key in ("bounds", "wrong", "both"))
    closest = min(row["closest"] for row in known)
    lines += [
        "",
        f"{len(every)} modules (tests/certify/strangers.py), random weights: {len(known)} are "
        f"bounded, {len(every) - len(known)} refused. Of the bounded ones, {bounds:,} bounds "
        f"(three inputs, three balls, five methods) against the least margin of eight attacks and "
        f"{POINTS:,} random points: **{wrong} above it, {both} both certified and broken**; the "
        f"closest is {closest:.1e} of it. No call ended in another exception than a refusal.",
        "",
        "Bounded: " + "; ".join(row["name"] for row in known) + ".",
        "",
        "| refused | in these words |",
        "|---|---|",
    ]
    for row in every:
        if row["refused"]:
            lines.append(f"| {row['name']} | {_short(row['refused'])} |")
    lines += ["", "Attacks refuse, in one sentence as well:", "", "| attack | says | modules |",
              "|---|---|---|"]  # fmt: skip
    lines += _attacks(every)
    where = log.find(kind="machine")[0]["provenance"]
    versions = where["versions"]
    lines += [
        "",
        "What the figures hide: weights are random, or trained for three epochs on the digits, and "
        "inputs are small, so that they say what works and not how tight bounds are on networks "
        "of a real zoo. An attack that fails proves nothing: a wrong bound that is only a little "
        "too high may be missed.",
        "",
        f"Machine: {where['machine']['processor']}, {where['machine']['cores']} cores, shared, one "
        f"thread; Python {where['python']}, torch {versions['torch']}.",
        "",
    ]
    return "\n".join(lines)


def _zoo(row):
    first = f"| {row['name']} | {row['weights']} "
    if row["bracket"]:
        return f"{first}| | | | | | | | {_short(row['bracket'])} |"
    cells = [f"{100 * row['clean']:.0f}", share(row["unbroken"])]
    cells += ["" if row["reason"] else share(row[method]) for method in METHODS[:3]]
    cells.append(f"{row['cpu_seconds']:.1f}")
    cells.append(row["check"].split(":")[0])
    return f"{first}| " + " | ".join(cells) + f" | {_short(row['reason'])} |"


def _short(text):
    """Without what certificates know, which every refusal ends with."""
    return text.split("; certificates know")[0].replace("|", "\\|")


def _attacks(rows):
    found = {}
    for row in rows:
        for attack, why in row["attacks"].items():
            words = why.split(";")[0].split(", got")[0]
            found.setdefault(words, (set(), []))
            found[words][0].add(attack)
            if row["name"] not in found[words][1]:
                found[words][1].append(row["name"])
    return [
        f"| {'all' if len(who) > 1 else next(iter(who))} | {words} | {'; '.join(names)} |"
        for words, (who, names) in found.items()
    ]


if __name__ == "__main__":
    main()
