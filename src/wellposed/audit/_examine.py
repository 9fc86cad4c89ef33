"""Run checks on a subject, each apart from the others, within a stated budget."""

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, final, runtime_checkable

import torch

from wellposed.audit._check import Budget, Check, require_budget
from wellposed.audit._checks import CHECKS
from wellposed.audit._subject import Subject
from wellposed.audit._untouched import untouched
from wellposed.errors import ArgumentError, UnknownNameError, WellposedError, in_a_line
from wellposed.runs import Audit, Finding, Verdict


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit is going to do.

    Args:
        checks: In their order.
        gradients: Gradient evaluations of one example per check, a forward pass as a third.
        seconds: Of one gradient evaluation of one example, measured on this machine in batches of
            the sizes that the checks take, and averaged over what they spend.
        budget: As asked for.
    """

    checks: tuple[Check, ...]
    gradients: tuple[int, ...]
    seconds: float
    budget: Budget

    @property
    def total(self) -> int:
        """Gradient evaluations of one example, all checks together."""
        return sum(self.gradients)

    @property
    def eta(self) -> float:
        """Seconds that all checks together will take, about."""
        return self.total * self.seconds


@runtime_checkable
class Observer(Protocol):
    """Somebody who watches an audit."""

    def begin(self, plan: Plan) -> None:
        """The audit begins."""

    def begin_check(self, check: Check) -> None:
        """A check begins."""

    def end_check(self, finding: Finding, audit: Audit) -> None:
        """A check has ended; `audit` holds all findings so far."""


def examine(
    subject: Subject,
    checks: Plan | Iterable[str | Check | Callable[[Subject], Finding]] | None = None,
    budget: Budget = "standard",
    *,
    known: Audit | None = None,
    observer: Observer | None = None,
) -> Audit:
    """Examine a trained network.

    A check that cannot run is a finding with the verdict UNKNOWN that says why; it does not stop
    the others. Weights, buffers, gradients, modes, hooks and random generators are, bit by bit, as
    before afterwards; a check that changes one of them is named. What a forward pass of the model
    itself changes in eval mode is put back too, and no check is blamed for it.

    Args:
        subject: Network, data, loss.
        checks: Names of checks or families, checks of your own, None for all of the
            budget, or what `plan` returned, which is not measured again then.
        budget: "quick", "standard" or "deep", unless a plan says it; `plan` says what it costs.
        known: The audit of the same subject that was interrupted; its findings are kept.
        observer: Told of every step, for a progress bar.

    Raises `UnknownNameError` for a name that no check has.
    """
    agenda = checks if isinstance(checks, Plan) else plan(subject, checks, budget)
    audit = Audit(subject.describe(), agenda.budget, subject.seed, (), complete=False)
    kept = _reusable(known, audit)
    if observer is not None:
        observer.begin(agenda)
    broken, restless = _not_finite(subject), _restless(subject)
    for check, gradients in zip(agenda.checks, agenda.gradients, strict=True):
        if observer is not None:
            observer.begin_check(check)
        finding = kept.get(check.name)
        if finding is None:
            if broken and check.weights:
                finding = _unknown(check.name, broken).spent(0, 0.0, check.family)
            else:
                finding = _checked(check, subject, agenda.budget, gradients, restless)
        audit = replace(audit, findings=(*audit.findings, finding))
        if observer is not None:
            observer.end_check(finding, audit)
    return replace(audit, complete=True)


def plan(
    subject: Subject,
    checks: Iterable[str | Check | Callable[[Subject], Finding]] | None = None,
    budget: Budget = "standard",
) -> Plan:
    """What `examine` would do, and what it would cost.

    Cost: two gradient evaluations of a batch of each size that the checks take, to measure their
    time.

    Args:
        subject: Network, data, loss.
        checks: As for `examine`.
        budget: As for `examine`.

    Raises `UnknownNameError` for a name that no check has.
    """
    budget = require_budget(budget)
    chosen = _chosen(checks, budget)
    gradients, done, rates, seconds = [], set[Hashable](), dict[int, float](), 0.0
    for check in chosen:
        try:
            gradients.append(check.gradients(subject, budget, done))
        except Exception:  # noqa: BLE001 - it will say itself why it cannot run
            gradients.append(0)
        size = check.batch or subject.batch_size
        if size not in rates:
            rates[size] = _seconds_per_gradient(subject, size)
        seconds += gradients[-1] * rates[size]
    total = sum(gradients)
    each = seconds / total if total else _seconds_per_gradient(subject, subject.batch_size)
    return Plan(chosen, tuple(gradients), each, budget)


def _chosen(
    wanted: Iterable[str | Check | Callable[[Subject], Finding]] | None, budget: Budget
) -> tuple[Check, ...]:
    """The checks asked for, in the order of the table; those of the caller's own last."""
    if wanted is None:
        return tuple(check for check in CHECKS if budget in check.settings)
    asked = [wanted] if isinstance(wanted, str | Check) else list(wanted)
    names = [item for item in asked if isinstance(item, str)]
    known = {check.name for check in CHECKS} | {check.family for check in CHECKS}
    for name in names:
        if name not in known:
            raise UnknownNameError("check", name, known)
    made = [_as_check(item) for item in asked if not isinstance(item, str)]
    taken = [c for c in CHECKS if c.name in names or c.family in names or c in made]
    own = [c for c in made if c not in taken]
    return tuple(c if budget in c.settings else _cheapest(c, budget) for c in (*taken, *own))


def _cheapest(check: Check, budget: Budget) -> Check:
    """The check at a budget that leaves it out, since it was asked for by name: as it is next."""
    return replace(check, settings={budget: next(iter(check.settings.values()))})


def _as_check(item: Any) -> Check:
    if isinstance(item, Check):
        return item
    for known in CHECKS:
        if known.run is item:
            return known
    if not callable(item):
        raise ArgumentError(
            f"found a {type(item).__name__} among the checks; a check is a name, a Check, or a "
            "function from Subject to Finding"
        )
    every: dict[Budget, dict[str, Any]] = {"quick": {}, "standard": {}, "deep": {}}
    return Check(item, "own", "", lambda _: 0, every)


def _checked(
    check: Check, subject: Subject, budget: Budget, gradients: int, restless: set[str]
) -> Finding:
    """What a check finds, or why it found nothing."""
    started = time.perf_counter()
    settings = check.settings.get(budget, {})
    changed: list[str] = []
    try:
        with untouched(subject.model) as changed:
            finding = check.run(subject, **settings)
    except WellposedError as error:
        finding = _unknown(check.name, str(error))
    except Exception as error:  # noqa: BLE001 - a check must not stop the others
        finding = _unknown(check.name, _fault(error))
    blamed = [name for name in changed if name not in restless]
    if blamed:
        said = (
            f"the check changed {', '.join(blamed[:3])}, which was put back; its numbers are not "
            f"to be trusted ({finding.statement.rstrip('.')})"
        )
        finding = _unknown(check.name, said)
    if check.name != finding.check:
        finding = replace(finding, check=check.name)
    return finding.spent(gradients, time.perf_counter() - started, check.family)


def _unknown(name: str, why: str) -> Finding:
    return Finding(name, Verdict.UNKNOWN, f"Not checked: {why}".rstrip(".") + ".")


_KNOWN = {
    "not supported on ScriptModules": "a scripted module lets nobody see inside; give the module "
    "that it was made from",
    "torch.utils.checkpoint": "activation checkpointing computes layers again, unseen; switch it "
    "off for the audit",
    "nference tensor": "weights or outputs were made in torch.inference_mode, which forbids "
    "gradients for good; make them in torch.no_grad instead",
}
"""What torch says where a kind of network cannot be examined, and what that means."""


def _fault(error: Exception) -> str:
    """An exception in one line."""
    for words, sentence in _KNOWN.items():
        if words in str(error):
            return sentence
    return in_a_line(error)


def _not_finite(subject: Subject) -> str:
    """Which weights are not finite, in words; empty if all are."""
    for name, value in subject.model.named_parameters():
        wrong = value.numel() - int(torch.isfinite(value.detach()).sum())
        if wrong:
            return (
                f"{wrong} of the {value.numel()} weights of {name} are not finite, so nothing "
                "measured on them means anything; try an earlier checkpoint"
            )
    return ""


def _restless(subject: Subject) -> set[str]:
    """What a forward pass of the model itself changes in eval mode."""
    inputs, _ = subject.take(subject.judged, 2)
    with untouched(subject.model) as changed, suppress(Exception), subject.quiet():
        subject.model(inputs)
    return set(changed)


def _reusable(known: Audit | None, audit: Audit) -> dict[str, Finding]:
    """The findings of an interrupted audit of the same subject, by check."""
    if known is None or known.complete:
        return {}
    asked = (audit.subject, audit.budget, audit.seed)
    if (known.subject, known.budget, known.seed) != asked:
        return {}
    return {finding.check: finding for finding in known.findings if not finding.earlier}


def _seconds_per_gradient(subject: Subject, size: int) -> float:
    """Seconds that one gradient evaluation of one example takes, in a batch of that size."""
    inputs, targets = subject.take(subject.judged, size)
    best = float("inf")
    params = subject.parameters
    with suppress(Exception), untouched(subject.model), subject.quiet():
        for _ in range(2):
            started = time.perf_counter()
            value = subject.objective(inputs, targets)
            if params and value.requires_grad:
                torch.autograd.grad(value, params, allow_unused=True)
            best = min(best, time.perf_counter() - started)
    return best / len(inputs) if best < float("inf") else 0.0
