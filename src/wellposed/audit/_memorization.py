"""Does a network like this learn the labels, or does it learn them by heart?"""

from dataclasses import asdict, replace
from math import factorial

import torch
from torch import Tensor, nn

from wellposed.audit._check import Check, forward
from wellposed.audit._few import few
from wellposed.audit._fit import fit
from wellposed.audit._fresh import fresh
from wellposed.audit._renamed import Renamed, renamed
from wellposed.audit._subject import Subject, weights_digest
from wellposed.errors import require
from wellposed.problem import eval_mode
from wellposed.runs import Curves, Finding, Mark, Series, Threshold, Verdict
from wellposed.stats import clopper_pearson, paired_difference, wilson

LEVEL = 0.95
BATCH = 50
LR = 3e-3
KNOWING = 0.002
"""A fresh network whose hits are beaten by fewer renamings of the classes knows the labels."""


def memorization(
    subject: Subject, *, examples: int = 500, gradients: int = 10_000, judged: int = 2000
) -> Finding:
    r"""Train a fresh copy on the true labels, and on the same labels in random order.

    Both start at the same weights and see as many examples of each class, in the same order, for
    the same number of gradients (Adam, step size 0.003, batches of 50). A network can learn random
    labels only by heart, which is slow; it learns true ones faster, because they hang together with
    the inputs. The value is the difference of the accuracies on batches before they are used,
    averaged over the second half of the passes, and its interval is Student's over the examples.
    Where it is not above 0 although random labels were learned, the true ones say no more about
    the inputs than random ones do; where those were not learned either, the budget was too small.

    The copy that saw random labels then names the classes of judged examples. It cannot be better
    than chance, unless it knew labels before: hits are counted under all renamings of the
    classes (or 9,999 random ones), among which the true names are nothing special to such
    a network. This test is exact, however the inputs cluster (a binomial test is not: networks call
    whole clusters by one name), and finds a "fresh" copy that is not. It needs six classes, and
    is done before and after the training at the level 0.002 each.

    Args:
        subject: A classifier with a train part; its network is copied and not touched.
        examples: Of the training part, at most this many.
        gradients: Of one example, for each of the two trainings.
        judged: At most this many examples for the test of knowledge.

    Cost: twice `gradients`, and two forward passes per judged example.

    Raises `ArgumentError` if the subject is no classifier, classes have fewer than 5 examples, or
    no fresh copy can be made.

    References:
        Zhang, Bengio, Hardt, Recht and Vinyals, Understanding deep learning requires rethinking
        generalization, 2017, arXiv:1611.03530; Arpit et al., A closer look at memorization in deep
        networks, 2017, arXiv:1706.05394.
    """
    subject.require_classes("memorization")
    subject.require_parameters("memorization")
    subject.require_part("train", "memorization")
    inputs, labels, kept = _balanced(subject, examples)
    order = torch.randperm(len(labels), generator=subject.generator("memorization"))
    others = labels[order.to(labels.device)]
    passes = max(2, gradients // len(labels))
    runs, starts, knowing = {}, [], {}
    for name, said in (("true labels", labels), ("random labels", others)):
        model, how = fresh(subject, "memorization", subject.seed)
        starts.append(weights_digest(model.state_dict()))
        if name == "random labels":
            knowing["before"] = _renamed(subject, model, kept, judged)
        runs[name] = fit(
            model,
            inputs,
            said,
            subject.losses,
            passes=passes,
            batch_size=BATCH,
            lr=LR,
            generator=subject.generator("memorization order"),
        )
    knowing["after"] = _renamed(subject, model, kept, judged)
    hits = {name: run.hits for name, run in runs.items()}
    evidence = {
        "examples": len(labels),
        "classes": len(kept),
        "passes": passes,
        "lr": LR,
        "batch_size": BATCH,
        "right_in_last_pass": {name: int(h[-1].sum()) for name, h in hits.items()},
        "fresh_copy": how,
        "renamings": {when: asdict(k) for when, k in knowing.items() if k},
        "seed": subject.seed,
    }
    begun = "the same" if starts[0] == starts[1] else "DIFFERENT"
    return replace(
        _knows(knowing) or _fitted(hits, len(kept)),
        evidence=evidence,
        verified=f"both trainings began at {begun} weights, bit by bit, and random labels are "
        f"{_agreement(labels, others, len(kept))}",
        figures=(_curves(hits, len(kept)),),
    )


def _knows(knowing: dict[str, Renamed | None]) -> Finding | None:
    """The finding, if a copy knows labels that it has never seen."""
    found = [k for k in knowing.values() if k]
    if not found:
        return None
    known = min(found, key=lambda k: k.p)
    ends = (known.p, known.p)
    if not known.all_of_them:
        ends = clopper_pearson(known.as_good, known.renamings, LEVEL)
    threshold = Threshold(
        KNOWING, "below", "null distribution", "hits under renamings of the classes"
    )
    if not threshold.beyond(ends[1]):
        return None
    return Finding(
        "memorization",
        Verdict.FAIL,
        f"A copy that never saw true labels names {known.hits} of {known.examples} judged examples "
        f"rightly, as {known.as_good} of {known.renamings} renamings of the classes do: it is not "
        "fresh, or the labels leak.",
        value=known.p,
        interval=ends,
        level=LEVEL,
        unit="probability of as many hits without knowledge",
        threshold=threshold,
        remedy="let rebuild(), the factory of a module, make weights that no data have touched, "
        "and keep labels out of the inputs",
    )


def _fitted(hits: dict[str, Tensor], classes: int) -> Finding:
    """How much faster true labels are fitted than random ones."""
    [passes, n] = hits["true labels"].shape
    true, random = (found[passes // 2 :].double().mean(0).numpy() for found in hits.values())
    value, interval = float((true - random).mean()), paired_difference(true, random, LEVEL)
    threshold = Threshold(
        0, "below", "null distribution", "labels without information are fitted like random ones"
    )
    last = {name: int(found[-1].sum()) for name, found in hits.items()}
    learned = clopper_pearson(last["random labels"], n, LEVEL)[0] > 1 / classes
    verdict = threshold.judge(interval)
    if verdict is not Verdict.PASS:
        verdict = Verdict.WARN if learned else Verdict.UNKNOWN
    unsure = verdict is Verdict.UNKNOWN
    nothing = ", so that neither was learned within this budget" if unsure else ""
    a, b = (100 * k / n for k in last.values())
    return Finding(
        "memorization",
        verdict,
        f"After {passes} passes over {n} examples a fresh copy fits {a:.1f} % of the true labels "
        f"and {b:.1f} % of random ones{nothing}: {100 * value:+.1f} points "
        f"[{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}] over the second half of the passes.",
        value=value,
        interval=interval,
        level=LEVEL,
        unit="difference of accuracies during training",
        threshold=threshold,
        remedy=""
        if verdict is Verdict.PASS
        else "look whether labels belong to their inputs; if they do, train longer: --budget deep",
    )


def _balanced(subject: Subject, examples: int) -> tuple[Tensor, Tensor, list[int]]:
    """As many training examples of every class, their labels from 0, and the classes' numbers.

    Raises `ArgumentError` if two classes have not five examples each.
    """
    inputs, labels = subject.take("train", few(subject, "train", 10 * examples))
    counts = labels.bincount()
    kept = [c for c in range(len(counts)) if counts[c] >= 5]
    require(
        len(kept) >= 2,
        f"memorization needs two classes with at least 5 training examples, and {len(kept)} have",
    )
    each = min(max(5, examples // len(kept)), *(int(counts[c]) for c in kept))
    rows = torch.cat([(labels == c).nonzero().flatten()[:each] for c in kept])
    return inputs[rows], labels[rows], kept


def _renamed(subject: Subject, model: nn.Module, kept: list[int], judged: int) -> Renamed | None:
    """Hits on the judged part under renamings; None where they are too few to tell anything."""
    if factorial(len(kept)) * KNOWING < 1:
        return None
    inputs, labels = subject.take(subject.judged, few(subject, subject.judged, judged))
    with torch.no_grad(), eval_mode(model):
        guess = torch.cat([model(b)[:, kept].argmax(1) for b in inputs.split(subject.batch_size)])
    table = torch.stack([(guess[labels == c]).bincount(minlength=len(kept)) for c in kept], 1)
    return renamed(table.cpu().numpy(), subject.generator("renamings"))


def _agreement(labels: Tensor, others: Tensor, classes: int) -> str:
    same = int((labels == others).sum())
    counts = "as many of each class" if labels.bincount().equal(others.bincount()) else "DIFFERENT"
    return f"{counts}, right in {same} of {len(labels)} (expected {len(labels) / classes:.0f})"


def _curves(hits: dict[str, Tensor], classes: int) -> Curves:
    series = []
    for name, found in hits.items():
        counts, n = found.sum(1).tolist(), found.shape[1]
        ends = [wilson(int(k), n, LEVEL) for k in counts]
        series.append(
            Series(
                name,
                tuple(float(i + 1) for i in range(len(counts))),
                tuple(k / n for k in counts),
                tuple(e[0] for e in ends),
                tuple(e[1] for e in ends),
            )
        )
    return Curves(
        "Fitting true and random labels",
        "pass over the examples",
        "accuracy before the step",
        tuple(series),
        (Mark("y", 1 / classes, "chance"),),
        percent=True,
        note=f"Wilson's intervals at {100 * LEVEL:g} %.",
    )


def _cost(
    subject: Subject, examples: int = 500, gradients: int = 10_000, judged: int = 2000
) -> int:
    n = min(len(subject.parts["train"]), examples)
    tested = min(len(subject.parts[subject.judged]), judged)
    return 2 * max(2 * n, gradients) + forward(2 * tested)


CHECK = Check(
    memorization,
    family="generalization",
    question="Does a network like this learn these labels faster than random ones?",
    cost=_cost,
    batch=BATCH,
    settings={
        "quick": {"examples": 200, "gradients": 2000, "judged": 500},
        "standard": {},
        "deep": {"examples": 2000, "gradients": 100_000, "judged": 10_000},
    },
)
