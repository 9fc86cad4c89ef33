"""Are the inputs of all parts numbers of the same kind?"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import chi2_contingency

from wellposed.audit._check import Check
from wellposed.audit._pictures import pictures_of
from wellposed.audit._scan import Scan, blocks, scan
from wellposed.audit._subject import Subject
from wellposed.runs import Figure, Finding, Listing, Picture, Pictures, Threshold, Verdict
from wellposed.stats import clopper_pearson

LEVEL, RARE, SHIFT, MANY, UNEVEN = 0.95, 0.001, 0.5, 0.1, 0.1


@final
@dataclass(frozen=True)
class Line:
    """One question about one part, and its answer.

    Args:
        said: What was found, in a few words that follow the part's name.
        part: Which part.
        value: The number.
        interval: For it.
        threshold: What it is compared with.
        verdict: The answer.
        remedy: What to try.
        rows: Examples that show it, by their numbers in the part.
    """

    said: str
    part: str
    value: float
    interval: tuple[float, float]
    threshold: Threshold
    verdict: Verdict
    remedy: str = ""
    rows: tuple[int, ...] = ()


def inputs(subject: Subject, *, examples: int | None = None) -> Finding:
    r"""Look for inputs that are no numbers, constant, out of range, or unlike the training part.

    Parts that were drawn alike are exchangeable: the chance that k of n inputs lie beyond the most
    extreme of N training inputs is $\prod_{i<k} \frac{n - i}{N + n - i}$, whatever their
    distribution. It is asked of the greatest entry, the least one, and the spread within an
    input. Mean and standard deviation of each channel are compared with simultaneous intervals (a
    mismatch of the normalization moves them by whole standard deviations), and the classes
    by a chi-squared test and Cramer's V.

    Args:
        subject: Any; a train part allows the comparisons.
        examples: At most this many of each part; None for all that 100 million numbers hold.

    Cost: one pass over the data; no gradients.
    """
    seen = {part: scan(subject, part, examples) for part in subject.parts}
    lines = [line for part, found in seen.items() for line in _alone(subject, part, found)]
    if "train" in seen:
        others = {part: found for part, found in seen.items() if part != "train"}
        for part, found in others.items():
            lines += [_beyond(part, found, seen["train"]), *_shift(part, found, seen["train"])]
            if subject.classes:
                lines += _classes(subject, part, found, seen["train"])
    worst = min(lines, key=lambda line: line.verdict.rank)
    wrong = [line for line in lines if line.verdict in {Verdict.FAIL, Verdict.WARN}]
    counts = ", ".join(f"{len(found):,} of {found.of:,} in {part}" for part, found in seen.items())
    said = "; ".join(f"{line.part} {line.said}" for line in wrong[:3])
    if not wrong:
        said = f"Inputs are finite, not constant, and alike in all parts ({counts})"
        if worst.verdict is Verdict.UNKNOWN:
            said = f"Nothing wrong with the inputs ({counts}), but {worst.part} {worst.said}"
    return Finding(
        check="inputs",
        verdict=worst.verdict,
        statement=said[0].upper() + said[1:] + ".",
        value=worst.value,
        interval=worst.interval,
        level=LEVEL,
        unit="share" if worst.threshold.kind != "convention" else "",
        threshold=worst.threshold,
        where=worst.part if wrong else "",
        evidence={
            "examples": {part: len(found) for part, found in seen.items()},
            "questions": [_shown(line) for line in lines],
            "seed": subject.seed,
        },
        verified=_verify(subject, seen[subject.judged]),
        remedy=worst.remedy if wrong else "",
        figures=_figures(subject, lines, wrong),
    )


def _alone(subject: Subject, part: str, found: Scan) -> list[Line]:
    """What can be asked of a part without another one."""
    broken = found.broken > 0
    flat = (found.high == found.low) & ~broken
    if subject.parts[part].take(found.rows[:1])[0].numel() == 1:
        flat[:] = False
    lines = [
        _count(
            part, found, broken, "inputs that are not finite", "arithmetic",
            "what is not finite spreads to every output", "remove or repair them before training",
        ),
        _count(
            part, found, flat, "constant inputs", "convention", "an input without content",
            "look at them: a failed download or an empty crop looks like this",
        ),
    ]  # fmt: skip
    if subject.input_range is not None:
        low, high = subject.input_range
        slack = 1e-3 * (high - low)
        least, most = _raw_ends(subject, part, found)
        outside = (least < low - slack) | (most > high + slack)
        lines.append(
            _count(
                part, found, outside, f"inputs outside the recorded range [{low:g}, {high:g}]",
                "arithmetic", "the range of raw inputs that the data state",
                "scale them as the training part was: divide bytes by 255 once, standardize once",
            )
        )  # fmt: skip
    return lines


def _raw_ends(subject: Subject, part: str, found: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest entry of each input before it was standardized."""
    known = subject.standardization
    if known is None:
        return found.low, found.high
    mean, std = (np.asarray(getattr(known, name, ()), dtype=float) for name in ("mean", "std"))
    if len(mean) == 1 and len(std) == 1:
        return found.low * std[0] + mean[0], found.high * std[0] + mean[0]

    low, high = [], []
    for x, _ in blocks(subject, part, found.rows):
        raw = known.undo(x).flatten(1)
        low.append(raw.amin(1).double().numpy())
        high.append(raw.amax(1).double().numpy())
    return np.concatenate(low), np.concatenate(high)


def _count(
    part: str, found: Scan, hit: np.ndarray, what: str, kind: Any, source: str, remedy: str
) -> Line:
    k, n = int(hit.sum()), len(found)
    interval = clopper_pearson(k, n, LEVEL)
    threshold = Threshold(0, "above", kind, source)
    bad = Verdict.WARN if kind == "convention" else Verdict.FAIL
    rows = tuple(found.rows[np.flatnonzero(hit)[:8]].tolist())
    verdict = bad if k else Verdict.PASS
    said = f"has {k:,} of {n:,} {what}"
    return Line(said, part, k / n, interval, threshold, verdict, remedy, rows)


def _beyond(part: str, found: Scan, train: Scan) -> Line:
    """How many inputs are more extreme than every training input."""
    sides = {
        "a greater entry": found.high > train.high.max(),
        "a lesser entry": found.low < train.low.min(),
        "a wider spread": found.spread > train.spread.max() * (1 + 1e-6),
        "a narrower spread": found.spread < train.spread.min() * (1 - 1e-6),
    }
    name, hit = max(sides.items(), key=lambda item: int(item[1].sum()))
    k, n, total = int(hit.sum()), len(found), len(train)
    chance = min(1.0, len(sides) * beyond_chance(k, n, total))
    usual = next(j for j in range(n + 2) if len(sides) * beyond_chance(j, n, total) <= RARE)
    interval = clopper_pearson(k, n, LEVEL)
    threshold = Threshold(
        max(MANY, (usual - 1) / n),
        "above",
        "null distribution",
        f"parts drawn alike: {usual} or more have chance {RARE:g}, a tenth still less",
    )
    verdict = Verdict.PASS
    if k >= usual:
        verdict = Verdict.FAIL if interval[0] > threshold.value else Verdict.WARN
    said = f"has {k:,} of {n:,} inputs with {name} than all training inputs (chance {chance:.1g})"
    remedy = "scale and standardize this part as the training part: once, with its mean and std"
    rows = tuple(found.rows[np.flatnonzero(hit)[:8]].tolist())
    return Line(said, part, k / n, interval, threshold, verdict, remedy, rows)


def beyond_chance(k: int, n: int, total: int) -> float:
    """The chance that k or more of n exceed the greatest of `total`, all drawn alike."""
    if k > n:
        return 0.0
    i = np.arange(k)
    return float(np.exp(np.log((n - i) / (total + n - i)).sum()))


def _shift(part: str, found: Scan, train: Scan) -> list[Line]:
    """The largest difference of a channel's mean or spread, in units of the training part's."""
    mean, spread, errors = zip(*(_moments(s) for s in (found, train)), strict=True)
    usable = (spread[0] > 0) & (spread[1] > 0)
    if not usable.any() or min(len(found), len(train)) < 2:
        return []
    z = -float(ndtri((1 - LEVEL) / 2 / (2 * usable.sum())))
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (mean[0] - mean[1]) / spread[1]
        scaled = np.log(spread[0] / spread[1])
        moved_error = np.hypot(errors[0][0], errors[1][0]) / spread[1]
        scaled_error = np.hypot(errors[0][1] / spread[0] ** 2, errors[1][1] / spread[1] ** 2) / 2
    size = np.abs(np.concatenate([moved[usable], scaled[usable]]))
    error = z * np.concatenate([moved_error[usable], scaled_error[usable]])
    at = int((size - error).argmax())
    value = float(size.max())
    interval = (max(0.0, float((size - error).max())), float((size + error).max()))
    threshold = Threshold(SHIFT, "above", "convention", "half a standard deviation of a channel")
    kind = "mean" if at < usable.sum() else "logarithm of the spread"
    channel = int(np.flatnonzero(usable)[at % int(usable.sum())])
    ends = f"[{interval[0]:.2g}, {interval[1]:.2g}]"
    said = (
        f"differs from train in the {kind} of channel {channel}, by {value:.2g} {ends} deviations"
    )
    remedy = "standardize this part with the mean and std of the training part, once"
    return [Line(said, part, value, interval, threshold, threshold.judge(interval), remedy)]


def _moments(s: Scan) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Mean and spread per channel, and the standard errors of mean and variance."""
    whole = s.broken == 0
    m, q = s.means[whole], s.squares[whole]
    if len(m) < 2:
        zero = np.zeros(s.means.shape[1])
        return zero, zero, (zero, zero)
    mean = m.mean(0)
    spread = np.sqrt(np.maximum(q.mean(0) - mean**2, 0))
    root = np.sqrt(len(m))
    return mean, spread, (m.std(0, ddof=1) / root, (q - 2 * mean * m).std(0, ddof=1) / root)


def _classes(subject: Subject, part: str, found: Scan, train: Scan) -> list[Line]:
    """Classes of the two parts, compared."""
    size = len(subject.classes)
    numbers = [s.labels.numpy().clip(0, size) for s in (found, train)]
    pair = [np.bincount(number, minlength=size)[:size] for number in numbers]
    n = int(pair[0].sum())
    new = (pair[0] > 0) & (pair[1] == 0)
    lines = []
    if new.any() and n:
        names = ", ".join(subject.classes[i] for i in np.flatnonzero(new)[:5])
        share = float(pair[0][new].sum()) / n
        sure = len(train) == train.of
        kind: Any = "arithmetic" if sure else "convention"
        threshold = Threshold(0, "above", kind, "what no training example shows cannot be learned")
        interval = clopper_pearson(int(pair[0][new].sum()), n, LEVEL)
        lines.append(
            Line(
                f"has classes that train lacks: {names}", part, share, interval, threshold,
                Verdict.FAIL if sure else Verdict.WARN, "split by class (stratified)",
            )
        )  # fmt: skip
    present = (pair[0] + pair[1]) > 0
    if present.sum() < 2 or not n or not pair[1].sum():
        return lines
    table = np.stack(pair)[:, present]
    result = chi2_contingency(table)
    p, size_of = float(result.pvalue), float(np.sqrt(result.statistic / table.sum()))
    threshold = Threshold(UNEVEN, "above", "convention", "Cramer's V; 0.1 is called small (Cohen)")
    verdict = Verdict.WARN if p < RARE and size_of > UNEVEN else Verdict.PASS
    lacks = [subject.classes[i] for i in np.flatnonzero((pair[0] == 0) & (pair[1] > 0))[:5]]
    gone = f", and lacks {', '.join(lacks)}" if lacks else ""
    said = f"differs from train in its shares of classes by V = {size_of:.2g} (p = {p:.2g}){gone}"
    remedy = "split by class (stratified), or weigh the errors of classes by their true shares"
    ends = (size_of, size_of)
    return [*lines, Line(said, part, size_of, ends, threshold, verdict, remedy)]


def _shown(line: Line) -> dict[str, Any]:
    return {
        "part": line.part,
        "said": line.said,
        "value": line.value,
        "interval": list(line.interval),
        "threshold": line.threshold.value,
        "kind": line.threshold.kind,
        "verdict": line.verdict.value,
        "rows": list(line.rows),
    }


def _verify(subject: Subject, found: Scan) -> str:
    """The numbers of a few inputs from the inputs themselves, read again one by one."""
    worst = 0.0
    for i in range(min(8, len(found))):
        x = subject.parts[subject.judged].take(found.rows[i : i + 1])[0].double().cpu()
        if bool(x.isfinite().all()):
            worst = max(worst, abs(float(x.mean()) - float(found.means[i].mean())))
            worst = max(worst, abs(float(x.max()) - float(found.high[i])))
    scale = max(1.0, float(np.abs(found.high).max(initial=0, where=np.isfinite(found.high))))
    agrees = worst <= 1e-5 * scale
    return f"8 inputs read again one by one: {'equal' if agrees else 'DIFFERENT'} ({worst:.0e})"


def _figures(subject: Subject, lines: list[Line], wrong: list[Line]) -> tuple[Figure, ...]:
    listing = Listing(
        "Questions about the inputs",
        ("part", "verdict", "found"),
        tuple((line.part, line.verdict.value, line.said) for line in lines),
        right=3,
    )
    figures: list[Figure] = [listing]
    for line in wrong:
        if not line.rows:
            continue

        some = subject.parts[line.part].take(torch.tensor(line.rows))[0]
        shown = [
            Picture(png, f"{line.part} {row}")
            for png, row in zip(pictures_of(subject, some), line.rows, strict=False)
        ]
        if shown:
            figures.append(Pictures(f"{line.part} {line.said}", (tuple(shown),)))
            break
    return tuple(figures)


CHECK = Check(
    inputs,
    family="data",
    question="Are the inputs of all parts numbers of the same kind?",
    cost=lambda *_, **__: 0,
    settings={"quick": {"examples": 2000}, "standard": {"examples": 60_000}, "deep": {}},
    weights=False,
)
