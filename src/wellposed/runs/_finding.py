"""A finding: what was measured, how sure it is, against which threshold, and what to do."""

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal, final, get_args

from wellposed.errors import ArgumentError, RunFolderError, require
from wellposed.runs._figure import Figure, figure_from_dict, figure_to_dict


class Verdict(StrEnum):
    """What a check concludes; silence is UNKNOWN, never PASS."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """How urgent it is: 0 for FAIL, then WARN, UNKNOWN, PASS."""
        return ["fail", "warn", "unknown", "pass"].index(self.value)


Kind = Literal["theorem", "null distribution", "arithmetic", "literature", "convention"]


@final
@dataclass(frozen=True, slots=True)
class Threshold:
    """With what the value is compared.

    Args:
        value: The number itself.
        bad: On which side of it the trouble is.
        kind: What stands behind it: a "theorem", a "null distribution" (how the value is
            distributed where all is well), "arithmetic" (rounding, counting), the "literature", or
            a "convention", which can warn but never fail.
        source: The formula or the reference.
    """

    value: float
    bad: Literal["above", "below"]
    kind: Kind
    source: str

    def __post_init__(self) -> None:
        require(
            self.kind in get_args(Kind),
            f"a threshold of kind {self.kind!r}; kinds are {', '.join(get_args(Kind))}",
        )

    def beyond(self, value: float) -> bool:
        """Whether a value lies on the bad side."""
        return value > self.value if self.bad == "above" else value < self.value

    def judge(self, interval: tuple[float, float], worst: Verdict = Verdict.FAIL) -> Verdict:
        """PASS if the interval is wholly on the good side, `worst` if wholly on the bad side.

        An interval that straddles the threshold is UNKNOWN, and so is one with a nan. A convention
        warns where another kind would fail.
        """
        low, high = interval
        if not low <= high:
            return Verdict.UNKNOWN
        if self.beyond(low) and self.beyond(high):
            fails = worst is Verdict.FAIL and self.kind != "convention"
            return Verdict.FAIL if fails else Verdict.WARN
        return Verdict.UNKNOWN if self.beyond(low) or self.beyond(high) else Verdict.PASS


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Args:
        check: Its name.
        verdict: The conclusion.
        statement: One sentence that can be understood without the rest.
        value: What was measured; None where there is nothing to measure.
        interval: (low, high) for it; None where it is exact.
        level: Confidence of the interval, in (0, 1); None where it is a bound that always holds.
        unit: Of the value.
        threshold: With what it was compared.
        where: Layers, parameters, or examples that it is about.
        evidence: What a repetition needs, and what else was measured: examples, products, seeds.
        verified: Which of its own numbers were checked against an independent one, and how well.
        remedy: What to try; empty if there is nothing to cure.
        remedied: The value after the remedy was applied to a copy; None if that was not tried.
        figures: What is to be seen.
        family: Which group of checks it belongs to.
        gradients: Gradient evaluations of one example that were spent.
        seconds: Wall-clock time.
        earlier: When and how it was measured, where it is kept beside findings of a later audit.

    Raises:
        ArgumentError: If a convention fails, or the interval of a failure is not wholly on the bad
            side of its threshold.
    """

    check: str
    verdict: Verdict
    statement: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    level: float | None = None
    unit: str = ""
    threshold: Threshold | None = None
    where: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    verified: str = ""
    remedy: str = ""
    remedied: float | None = None
    figures: tuple[Figure, ...] = ()
    family: str = ""
    gradients: int = 0
    seconds: float = 0.0
    earlier: str = ""

    def __post_init__(self) -> None:
        if self.verdict is not Verdict.FAIL or self.threshold is None:
            return
        require(
            self.threshold.kind != "convention",
            f"{self.check} fails by a convention, which can only warn; a failure needs a theorem, "
            "a null distribution, arithmetic or the literature",
        )
        ends = self.interval or (() if self.value is None else (self.value, self.value))
        require(
            bool(ends) and all(map(self.threshold.beyond, ends)),
            f"{self.check} fails with {self.interval or self.value}, which is not wholly "
            f"{self.threshold.bad} {self.threshold.value:g}; what straddles a threshold is unknown",
        )

    def to_dict(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The finding as JSON, and the files it refers to by name."""
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value["verdict"] = self.verdict.value
        if self.threshold is not None:
            value["threshold"] = {
                f.name: getattr(self.threshold, f.name) for f in fields(self.threshold)
            }
        files: dict[str, bytes] = {}
        drawn = []
        for number, figure in enumerate(self.figures):
            shown, parts = figure_to_dict(figure, f"audit/{self.check}-{number}")
            drawn.append(shown)
            files |= parts
        value["figures"] = drawn
        return value, files

    @classmethod
    def from_dict(cls, value: dict[str, Any], files: dict[str, bytes]) -> "Finding":
        """The inverse of `to_dict`; inf and nan come back from the strings JSON has for them.

        Raises:
            RunFolderError: If the value is no finding.
        """
        try:
            known = {f.name: value[f.name] for f in fields(cls) if f.name in value}
            known["verdict"] = Verdict(known["verdict"])
            for name in ("value", "remedied", "level"):
                if known.get(name) is not None:
                    known[name] = float(known[name])
            if known.get("interval") is not None:
                low, high = known["interval"]
                known["interval"] = (float(low), float(high))
            if known.get("threshold") is not None:
                found = dict(known["threshold"])
                known["threshold"] = Threshold(**found | {"value": float(found["value"])})
            figures = known.get("figures") or []
            known["figures"] = tuple(figure_from_dict(item, files) for item in figures)
            return cls(**known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise RunFolderError(f"a finding is damaged: {error}; audit again") from error

    def spent(self, gradients: int, seconds: float, family: str) -> "Finding":
        """The finding with what it cost, and the family of its check."""
        return replace(self, gradients=gradients, seconds=seconds, family=self.family or family)
