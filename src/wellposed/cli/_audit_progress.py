"""How far an audit is: a bar with the time left on a terminal, a line per check elsewhere."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wellposed.cli._bar import Bar
from wellposed.cli._output import Output
from wellposed.runs import interval_words, number_words

if TYPE_CHECKING:
    from wellposed.audit import Check, Plan
    from wellposed.runs import Audit, Finding


class AuditProgress(Bar):
    """Watches an audit, and keeps every finding as soon as there is one.

    Args:
        out: Where lines and JSON go; the bar goes to standard error.
        keep: Called with the findings so far after each check.
    """

    def __init__(self, out: Output, keep: Callable[["Audit"], None]) -> None:
        super().__init__(out, "audit")
        self._keep = keep
        self._plan: Plan | None = None
        self._done = self._ended = 0
        self._started = time.monotonic()

    def begin(self, plan: "Plan") -> None:
        """Say what is going to be done, and what it costs."""
        self._plan = plan
        self._started = time.monotonic()
        self._out.record(
            {
                "event": "plan",
                "checks": [check.name for check in plan.checks],
                "budget": plan.budget,
                "gradients": plan.total,
                "seconds": plan.eta,
            }
        )
        self._out.line(
            f"{len(plan.checks)} check{'s' if len(plan.checks) > 1 else ''} at the {plan.budget} "
            f"budget: about {plan.total:,} gradient "
            f"evaluations of one example, {_duration(plan.eta)} at {1e3 * plan.seconds:.3g} ms each"
        )

    def begin_check(self, check: "Check") -> None:
        """Show which check is on."""
        self._show(check.name)

    def end_check(self, finding: "Finding", audit: "Audit") -> None:
        """Keep the findings so far, and say the new one."""
        self._keep(audit)
        assert self._plan is not None
        self._done += self._plan.gradients[self._ended]
        self._ended += 1
        value, _ = finding.to_dict()
        self._out.record({"event": "finding", **{k: v for k, v in value.items() if k != "figures"}})
        count = f"{self._ended}/{len(self._plan.checks)}"
        line = f"{count:>7}  {finding.verdict.value:<7}  {finding.check} ({finding.seconds:.1f} s)"
        if self._bar is None:
            self._out.line(line)
        else:
            self._bar.console.print(line, highlight=False, markup=False)
            self._show(finding.check)

    def _show(self, name: str) -> None:
        if self._bar is None or self._plan is None:
            return
        share = self._done / max(self._plan.total, 1)
        spent = time.monotonic() - self._started
        left = spent * (1 - share) / share if share > 0.05 else self._plan.eta * (1 - share)
        self._bar.update(
            self._bar.task_ids[0],
            description=name,
            completed=share,
            left=f"about {_duration(left)} left" if left >= 1 else "",
        )


def value_words(finding: "Finding") -> str:
    """The value with its interval, as short as a table wants it; the statement says its unit."""
    if finding.value is None:
        return ""
    scale, unit = (100, " %") if finding.unit == "share" else (1, "")
    finite = math.isfinite(finding.value)
    text = f"{number_words(scale * finding.value)}{unit if finite else ''}"
    if finding.interval is None or finding.interval[0] == finding.interval[1]:
        return text
    low, high = (scale * end for end in finding.interval)
    return f"{text} [{interval_words(low, high)}]"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
