"""Are examples kept apart found in the training part as well?"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from wellposed.audit._check import Check, forward
from wellposed.audit._neighbours import FEWEST, nearest, unit_rows
from wellposed.audit._operations import as_gradients
from wellposed.audit._pictures import pictures_of
from wellposed.audit._scan import Scan, blocks, scan
from wellposed.audit._subject import Subject
from wellposed.runs import Figure, Finding, Listing, Picture, Pictures, Threshold, Verdict
from wellposed.stats import clopper_pearson, newcombe

LEVEL, RARE, NEAR = 0.95, 0.01, 0.98
CUTS = (0.95, 0.98, 0.99, 0.999)


@final
@dataclass(frozen=True)
class Near:
    """Near duplicates of a sample of the judged part, and of one of the training part.

    Args:
        places: Places of the judged sample in its scan.
        own: Correlation of each with its nearest training input that is not equal to it.
        match: The place of that input in the training scan.
        theirs: The same correlations for a sample of the training part, against the others.
        checked: How a correlation that was computed in blocks was checked.
    """

    places: np.ndarray
    own: np.ndarray
    match: np.ndarray
    theirs: np.ndarray
    checked: str

    def excess(self, cut: float, level: float) -> tuple[float, tuple[float, float]]:
        """How much larger the share above a cut is in the judged part, with its interval."""
        counts = [(int((c > cut).sum()), len(c)) for c in (self.own, self.theirs)]
        (a, n), (b, m) = counts
        return a / n - b / m, newcombe((a, n), (b, m), level)


def duplicates(
    subject: Subject,
    *,
    train: int | None = None,
    examples: int | None = None,
    queries: int = 2000,
    operations: float = 3e11,
) -> Finding:
    r"""Look for judged inputs that the training part holds too, exactly or nearly.

    Equal inputs are found by their hashes. They are judged against the training part itself: if
    the parts were drawn alike, a judged input has a twin in the training part just as often as a
    training input has one. Where twins are as common there, they are in the nature of the data and
    warn; where they are significantly rarer, the judged part was not kept apart, and the check
    fails.

    Near duplicates are those with a correlation of entries above 0.98, for a sample of the judged
    inputs against all training inputs read. High correlation alone proves nothing (7 % of
    Fashion-MNIST's test garments have such a neighbour), so the shares above 0.95, 0.98, 0.99 and
    0.999 are compared with those of training inputs against the *other* training inputs, at 99 %
    with Bonferroni's correction. The error without the near ones stands beside the error.

    Args:
        subject: With a train part and a test or validation part.
        train: At most this many training examples are read; None for all.
        examples: At most this many judged examples.
        queries: At most this many judged and as many training inputs look for neighbours.
        operations: Fewer look if the products would take more floating-point operations.

    Cost: one pass over the data, the products, and one forward pass per judged example.

    Raises `ArgumentError` if a part is missing.

    References:
        Barz and Denzler, Do we train on test data? Purging CIFAR of near-duplicates, 2020,
        arXiv:1902.00423; Newcombe, 1998.
    """
    apart = subject.require_apart("duplicates")
    theirs, ours = scan(subject, "train", train), scan(subject, apart, examples)
    times = Counter(theirs.digests)
    twins = np.array([d in times for d in ours.digests])
    inner = np.array([times[d] > 1 for d in theirs.digests])
    k, n = int(twins.sum()), len(ours)
    limit = clopper_pearson(int(inner.sum()), len(theirs), LEVEL)[1]
    interval = clopper_pearson(k, n, LEVEL)
    near, why = _near(subject, apart, ours, theirs, queries, operations)
    worse = _worst_excess(near)
    threshold = Threshold(
        limit,
        "above",
        "null distribution",
        f"parts drawn alike: {int(inner.sum())} of {len(theirs):,} training inputs have a twin in "
        f"it, at most {100 * limit:.2g} % ({100 * LEVEL:g} %)",
    )
    value: float = k / n
    level = LEVEL
    said = f"Of {n:,} {apart} inputs {k:,} are in the training part as well"
    if k:
        verdict = Verdict.FAIL if interval[0] > limit else Verdict.WARN
        said += (
            ", far more often than training inputs are there twice"
            if verdict is Verdict.FAIL
            else f" ({int(inner.sum()):,} of {len(theirs):,} training inputs are there twice)"
        )
    elif worse is not None:
        cut, value, interval = worse
        verdict, level = Verdict.WARN, 1 - 2 * RARE / len(CUTS)
        threshold = Threshold(0, "above", "null distribution", "as near as training inputs are")
        said += (
            f", but {100 * value:.2g} points more of them than of training inputs have a neighbour "
            f"of correlation above {cut:g}"
        )
    else:
        verdict = Verdict.PASS
        said += ", and they are no nearer to it than it is to itself" if near else f" ({why})"
    clean, without = _clean(subject, apart, examples, ours, twins, near)
    return Finding(
        check="duplicates",
        verdict=verdict,
        statement=said + without + ".",
        value=value,
        interval=interval,
        level=level,
        unit="share",
        threshold=threshold,
        where=", ".join(f"{apart} {int(ours.rows[i])}" for i in np.flatnonzero(twins)[:8]),
        evidence={
            "examples": {apart: n, "train": len(theirs)},
            "of": {apart: ours.of, "train": theirs.of},
            "equal": k,
            "equal_within_train": int(inner.sum()),
            f"equal_within_{apart}": n - len(set(ours.digests)),
            "label_conflicts": _conflicts(ours, theirs),
            "near": _near_shown(near, why),
            "clean": clean,
            "seed": subject.seed,
        },
        verified=_verify(ours, theirs, twins, apart, subject) + (near.checked if near else ""),
        remedy="take them out of the training part, and train again: the error on them says "
        "nothing about fresh examples"
        if verdict is not Verdict.PASS
        else "",
        figures=_figures(subject, apart, ours, theirs, twins, near),
    )


def _near(
    subject: Subject, apart: str, ours: Scan, theirs: Scan, queries: int, operations: float
) -> tuple[Near | None, str]:
    """Near duplicates, or why they were not looked for."""
    sample, _ = subject.parts[apart].take(ours.rows[:1])
    if not sample.is_floating_point():
        return None, "inputs are integers, for which nearness was not looked at"
    size = unit_rows(sample).shape[1]
    if sample[0].numel() < FEWEST:
        return None, f"inputs are {sample[0].numel()} numbers, too few for nearness to mean much"
    count = _lookers(len(theirs), size, queries, operations)
    generator = subject.generator("duplicates")
    picked = [
        torch.randperm(len(s), generator=generator)[:count].sort().values for s in (ours, theirs)
    ]
    rows = [s.rows[places] for s, places in zip((ours, theirs), picked, strict=True)]
    read = [
        torch.cat([unit_rows(x) for x, _ in blocks(subject, part, some)])
        for part, some in zip((apart, "train"), rows, strict=True)
    ]
    digests = [
        s.digests[i] for s, p in zip((ours, theirs), picked, strict=True) for i in p.tolist()
    ]
    found = nearest(subject, torch.cat(read), digests, theirs)
    m = len(picked[0])
    top = int(found.correlation[:m].argmax())
    pair = [
        subject.parts[apart].take(rows[0][top : top + 1])[0],
        subject.parts["train"].take(theirs.rows[int(found.place[top])][None])[0],
    ]
    a, b = (unit_rows(x.cpu())[0].double().numpy() for x in pair)
    again = float(np.corrcoef(a, b)[0, 1]) if a.any() and b.any() else 0.0
    agrees = abs(again - found.correlation[top]) < 1e-4
    checked = f"; the highest correlation by numpy: {'equal' if agrees else 'DIFFERENT'}"
    near = Near(
        picked[0].numpy(), found.correlation[:m], found.place[:m], found.correlation[m:], checked
    )
    return near, ""


def _worst_excess(near: Near | None) -> tuple[float, float, tuple[float, float]] | None:
    """The highest cut above which judged inputs are more often near than training inputs are."""
    if near is None:
        return None
    for cut in reversed(CUTS):
        value, interval = near.excess(cut, 1 - 2 * RARE / len(CUTS))
        if interval[0] > 0:
            return cut, value, interval
    return None


def _conflicts(ours: Scan, theirs: Scan) -> dict[str, int]:
    """Inputs that are equal to another one with another label."""
    labels: dict[bytes, set[Any]] = {}
    for digest, label in zip(theirs.digests, theirs.labels.tolist(), strict=True):
        labels.setdefault(digest, set()).add(str(label))
    own = zip(ours.digests, ours.labels.tolist(), strict=True)
    return {
        "within_train": sum(len(seen) > 1 for seen in labels.values()),
        "across": sum(d in labels and labels[d] != {str(label)} for d, label in own),
    }


def _near_shown(near: Near | None, why: str) -> dict[str, Any]:
    if near is None:
        return {"why_not": why}
    shares = {}
    for cut in CUTS:
        value, interval = near.excess(cut, 1 - 2 * RARE / len(CUTS))
        shares[f"{cut:g}"] = {
            "judged": int((near.own > cut).sum()),
            "train": int((near.theirs > cut).sum()),
            "excess": value,
            "interval": list(interval),
        }
    return {"judged": len(near.own), "train": len(near.theirs), "above": shares}


def _clean(
    subject: Subject,
    apart: str,
    examples: int | None,
    ours: Scan,
    twins: np.ndarray,
    near: Near | None,
) -> tuple[dict[str, Any] | None, str]:
    """Accuracy on examples with and without a duplicate, of the sample or of all."""
    if not subject.classes:
        return None, ""
    places = np.arange(len(ours)) if near is None else near.places
    marked = twins[places].copy()
    if near is not None:
        marked |= near.own > NEAR
    outputs, targets = subject.outputs(apart, examples)
    row_of = {int(r): i for i, r in enumerate(subject.rows(apart, examples))}
    at = [row_of[int(r)] for r in ours.rows[places]]
    right = (outputs.argmax(1) == targets).numpy()[at]
    found: dict[str, Any] = {}
    for name, chosen in (("near_or_equal", marked), ("clean", ~marked)):
        k, n = int(right[chosen].sum()), int(chosen.sum())
        ends = clopper_pearson(k, n, LEVEL) if n else (0.0, 1.0)
        found[name] = {"examples": n, "right": k, "interval": list(ends)}
    clean = found["clean"]
    if not marked.any() or not clean["examples"]:
        return found, ""
    low, high = clean["interval"]
    share = clean["right"] / clean["examples"]
    return found, (
        f"; without equal and near ones (correlation above {NEAR:g}) the accuracy is "
        f"{100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}], with them "
        f"{100 * right.mean():.1f} %"
    )


def _verify(ours: Scan, theirs: Scan, twins: np.ndarray, apart: str, subject: Subject) -> str:
    """Twins by hash, compared entry by entry; at most 16 of them."""
    where = {digest: place for place, digest in enumerate(theirs.digests)}
    some = np.flatnonzero(twins)[:16]
    if not len(some):
        return f"{len(set(theirs.digests)):,} distinct hashes of {len(theirs):,} inputs"
    mine = subject.parts[apart].take(ours.rows[some])[0].cpu()
    other = theirs.rows[[where[ours.digests[i]] for i in some.tolist()]]
    same = torch.equal(mine, subject.parts["train"].take(other)[0].cpu())
    return f"{len(some)} twins compared entry by entry: {'equal' if same else 'DIFFERENT'}"


def _figures(
    subject: Subject, apart: str, ours: Scan, theirs: Scan, twins: np.ndarray, near: Near | None
) -> tuple[Figure, ...]:
    where = {digest: place for place, digest in enumerate(theirs.digests)}
    pairs = [(int(i), where[ours.digests[i]], 1.0) for i in np.flatnonzero(twins)[:6]]
    if near is not None:
        order = np.argsort(-near.own)[: 6 - len(pairs)]
        pairs += [(int(near.places[i]), int(near.match[i]), float(near.own[i])) for i in order]
    mine = subject.parts[apart].take(ours.rows[[p[0] for p in pairs]])[0] if pairs else None
    if mine is None:
        return ()
    other = subject.parts["train"].take(theirs.rows[[p[1] for p in pairs]])[0]
    left, right = pictures_of(subject, mine), pictures_of(subject, other)
    words = [
        (
            f"{apart} {int(ours.rows[i])}: {_label(subject, ours, i)}",
            f"train {int(theirs.rows[j])}: {_label(subject, theirs, j)}",
            "equal" if c == 1.0 and twins[i] else f"{c:.3f}",
        )
        for i, j, c in pairs
    ]
    if not left:
        return (Listing("Nearest pairs", (apart, "train", "correlation"), tuple(words), right=2),)
    rows = tuple(
        (Picture(a, one), Picture(b, f"{two} ({c})"))
        for a, b, (one, two, c) in zip(left, right, words, strict=True)
    )
    return (Pictures("The most alike pairs", rows, note="Left judged, right trained on."),)


def _label(subject: Subject, s: Scan, place: int) -> str:
    label = s.labels[place]
    if not subject.classes or label.dim():
        return f"{label.tolist()}"
    number = int(label)
    return subject.classes[number] if 0 <= number < len(subject.classes) else str(number)


def _lookers(train: int, size: int, queries: int, operations: float) -> int:
    """How many inputs of each part look for neighbours."""
    return max(20, min(queries, int(operations / (4 * train * size))))


def _cost(
    subject: Subject, train: int | None = None, examples: int | None = None, queries: int = 2000,
    operations: float = 3e11,
) -> int:  # fmt: skip
    apart, theirs = subject.parts[subject.judged], subject.parts["train"]
    judged, known = (
        min(len(part), len(part) if most is None else most)
        for part, most in ((apart, examples), (theirs, train))
    )
    spent = forward(judged) if subject.classes else 0
    sample, _ = apart.take(torch.arange(1))
    if not sample.is_floating_point() or sample.numel() < FEWEST:
        return spent
    size = unit_rows(sample).shape[1]
    count = _lookers(known, size, queries, operations)
    looking = min(count, judged) + min(count, known)
    return spent + as_gradients(subject, 2 * looking * known * size)


CHECK = Check(
    duplicates,
    family="data",
    question="Are examples kept apart in the training part as well?",
    cost=_cost,
    settings={
        "quick": {"train": 10_000, "examples": 1000, "queries": 500},
        "standard": {"train": 60_000, "examples": 10_000, "queries": 1500},
        "deep": {"queries": 10_000, "operations": 1e13},
    },
)
