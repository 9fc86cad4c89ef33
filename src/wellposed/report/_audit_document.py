"""What findings.json holds, as far as the report shows it, read finding by finding.

A finding that is damaged becomes a sentence; the others are shown. A figure that is damaged becomes
a sentence below its finding.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, final

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from wellposed.errors import RunFolderError
from wellposed.report._documents import Fraction, Measure, Size, Text, Tolerant, read_value
from wellposed.report._sentences import count, shorten
from wellposed.runs import RunFolder, Verdict

DOCUMENT = "findings.json"
_FINDINGS, _FIGURES = 200, 12

Values = dict[str, Any]
Items = list[Any]
Words = Annotated[str, AfterValidator(lambda text: shorten(text, 1500))]


class ThresholdDocument(Tolerant):
    """With what a value was compared."""

    value: float
    bad: Literal["above", "below"]
    kind: Text = ""
    source: Words = ""


class FindingDocument(Tolerant):
    """One finding; its figures are as they stand in the file."""

    check: Text
    verdict: Verdict
    statement: Words
    value: Measure = None
    interval: tuple[float, float] | None = None
    level: Fraction | None = None
    unit: Text = ""
    threshold: ThresholdDocument | None = None
    where: Words = ""
    evidence: Values = Field(default_factory=dict)
    verified: Words = ""
    remedy: Words = ""
    remedied: Measure = None
    figures: Annotated[Items, AfterValidator(lambda figures: figures[:_FIGURES])] = Field(
        default_factory=list
    )
    family: Text = ""
    gradients: Size = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    earlier: Words = ""


class _Head(Tolerant):
    """findings.json without its findings."""

    format: Literal[1]
    subject: Values = Field(default_factory=dict)
    budget: Text = ""
    seed: int = 0
    complete: bool = False
    findings: Items = Field(default_factory=list)


@final
@dataclass(frozen=True, slots=True)
class AuditDocument:
    """findings.json.

    Args:
        subject: What was examined, in words and numbers.
        budget: How much the audit might spend.
        seed: Of every draw.
        complete: Whether all checks that were asked for have ended.
        findings: Those that can be read, the most urgent first.
    """

    subject: dict[str, Any]
    budget: str
    seed: int
    complete: bool
    findings: list[FindingDocument]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings have each verdict, the most urgent first."""
        order = sorted(Verdict, key=lambda verdict: verdict.rank)
        return {v: sum(f.verdict is v for f in self.findings) for v in order}


def has_audit(folder: RunFolder) -> bool:
    """Whether there is something called findings.json in the folder."""
    try:
        return folder.has(DOCUMENT)
    except RunFolderError:
        return True  # reading it will say what is wrong


def read_audit(folder: RunFolder, gaps: list[str]) -> AuditDocument | None:
    """The audit of a folder, or None; what is missing or damaged is added to `gaps`."""
    value = read_value(folder, DOCUMENT, gaps)
    if value is None:
        return None
    try:
        head = _Head.model_validate(value)
    except ValidationError as error:
        gaps.append(f"{DOCUMENT} is not shown: {fault(error)}.")
        return None
    if len(head.findings) > _FINDINGS:
        gaps.append(f"Of {count(len(head.findings))} findings, {_FINDINGS} are shown.")
    found = []
    for number, item in enumerate(head.findings[:_FINDINGS]):
        try:
            found.append(_FINDING.validate_python(item))
        except ValidationError as error:
            gaps.append(f"Finding {number} of {DOCUMENT} is not shown: {fault(error)}.")
    found.sort(key=lambda finding: finding.verdict.rank)
    return AuditDocument(head.subject, head.budget, head.seed, head.complete, found)


def fault(error: ValidationError) -> str:
    """The first thing that is wrong with a document, in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in first["loc"]) or "the whole"
    return f"{shorten(where, 80)}: {shorten(first['msg'], 200)}"


_FINDING = TypeAdapter(FindingDocument)
