"""What the page of an audit shows, and what the page of a run says of it."""

import re
import shlex
from dataclasses import dataclass
from typing import Any, final

from markupsafe import Markup

from wellposed.report._audit_document import (
    DOCUMENT,
    AuditDocument,
    FindingDocument,
    has_audit,
    read_audit,
)
from wellposed.report._documents import flatten
from wellposed.report._drawn import Drawn, draw
from wellposed.report._pictures import Album
from wellposed.report._sentences import count, count_of, duration, listing, shorten
from wellposed.report._verdicts import MEANING, badge, behind, limit, measured, remedied
from wellposed.runs import RunFolder, Verdict, number_words

PAGE = "audit.html"
_FAMILIES = (
    "weights", "signal", "derivatives", "data", "generalization", "calibration", "invariance",
    "curvature", "landscape", "training",
)  # fmt: skip
_DRAWINGS = 6_000_000  # characters of all drawings of a page
_WORST = 6
Rows = list[tuple[str, str]]


@final
@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding in words, with its figures.

    Args:
        anchor: Where it is in the page.
        check: Name of the check.
        badge: Its verdict.
        statement: What was found.
        where: What it is about.
        value: What was measured, with its interval.
        limit: Its threshold.
        behind: What stands behind the threshold.
        remedy: What to try.
        remedied: What that achieved on a copy.
        verified: What was checked against an independent number.
        cost: Gradient evaluations and seconds.
        earlier: When it was measured, if it was kept from an earlier audit.
        evidence: Names and values.
        figures: What is to be seen.
        faults: Why a figure is not shown.
    """

    anchor: str
    check: str
    badge: Markup
    statement: str
    where: str
    value: str
    limit: str
    behind: str
    remedy: str
    remedied: str
    verified: str
    cost: str
    earlier: str
    evidence: Rows
    figures: list[Drawn]
    faults: list[str]


@final
@dataclass(frozen=True, slots=True)
class AuditView:
    """The content of an audit's page, ready to be written down.

    Args:
        title: What was examined on what.
        method: Empty.
        status: Where it stands, one word.
        lead: The outcome in one sentence.
        verdicts: Shape and word, number, and meaning of every verdict.
        subject: What was examined: names and values.
        groups: Findings by family.
        open: Findings that did not pass, the most urgent first.
        passed: Those that did.
        again: The command that repeats it, or "".
        gaps: What is missing or damaged.
    """

    title: str
    method: str
    status: str
    lead: str
    verdicts: list[tuple[Markup, str, str]]
    subject: Rows
    groups: list[tuple[str, list[FindingView]]]
    open: list[FindingView]
    passed: list[FindingView]
    again: str
    gaps: list[str]


@final
@dataclass(frozen=True, slots=True)
class AuditBrief:
    """What the page of a run says of its audit.

    Args:
        command: How to make or repeat it.
        lead: The outcome in one sentence; "" if there is none.
        verdicts: Shape and word, and number, of every verdict.
        worst: Verdict, check and statement of the most urgent findings that did not pass.
        faults: What is damaged.
    """

    command: str
    lead: str
    verdicts: list[tuple[Markup, str]]
    worst: list[tuple[Markup, str, str]]
    faults: list[str]


def view_audit(folder: RunFolder, album: Album) -> AuditView:
    """Everything that is to be shown of an audit; pictures come out of the album's budget."""
    gaps: list[str] = []
    audit = read_audit(folder, gaps) or AuditDocument({}, "", 0, complete=False, findings=[])
    room = [_DRAWINGS]
    views = [_finding(k, f, folder, album, room) for k, f in enumerate(audit.findings)]
    apart = sum(f.verdict is not Verdict.PASS for f in audit.findings)
    named = [shorten(_word(audit.subject, key), 60) for key in ("name", "data")]
    kind = folder.info()["kind"]
    return AuditView(
        title=" on ".join(filter(None, named)) or "An audit",
        method="",
        status="done" if audit.complete else "unfinished",
        lead=_lead(audit),
        verdicts=[(badge(v), count(n), MEANING[v]) for v, n in audit.counts.items()],
        subject=_subject(audit),
        groups=_groups(audit.findings, views),
        open=views[:apart],
        passed=views[apart:],
        again=f"wellposed audit {shlex.quote(str(folder.path))}" if kind == "run" else "",
        gaps=[*gaps, *album.refused[:8]],
    )


def brief_audit(folder: RunFolder) -> AuditBrief:
    """What the page of a run says of its audit."""
    command = f"wellposed audit {shlex.quote(str(folder.path))}"
    gaps: list[str] = []
    audit = read_audit(folder, gaps) if has_audit(folder) else None
    if audit is None:
        return AuditBrief(command, "", [], [], gaps)
    bad = [f for f in audit.findings if f.verdict is not Verdict.PASS]
    return AuditBrief(
        command=command,
        lead=_lead(audit),
        verdicts=[(badge(verdict), count(n)) for verdict, n in audit.counts.items()],
        worst=[(badge(f.verdict), f.check, shorten(f.statement, 400)) for f in bad[:_WORST]],
        faults=gaps[:3],
    )


def _lead(audit: AuditDocument) -> str:
    """How many checks came to which verdict, in one sentence."""
    if not audit.findings:
        return f"There is no finding that can be read in {DOCUMENT}."
    words = {
        Verdict.FAIL: "failed",
        Verdict.WARN: "warn",
        Verdict.UNKNOWN: "could not decide",
        Verdict.PASS: "found nothing",
    }
    said = [f"{count(n)} {words[verdict]}" for verdict, n in audit.counts.items() if n]
    if len(said) == 1 and audit.counts[Verdict.PASS]:
        said = ["all found nothing"]
    end = "" if audit.complete else " The audit was not finished; the same command goes on."
    return f"Of {count_of(len(audit.findings), 'check')}, {listing(said)}.{end}"


def _subject(audit: AuditDocument) -> Rows:
    """What was examined, and what that cost."""
    subject = audit.subject
    first = {"model", "name", "data", "parameters", "weights_sha256"}
    size = subject.get("parameters")
    rows = [
        ("model", ", ".join(filter(None, [_word(subject, "name"), _word(subject, "model")]))),
        ("data", _word(subject, "data")),
        ("parameters", count(size) if type(size) is int else ""),
        ("sha256 of the weights", _word(subject, "weights_sha256")),
        *_spaced(flatten({key: item for key, item in subject.items() if key not in first}, 16)),
        ("budget", audit.budget),
        ("seed", str(audit.seed)),
        ("gradient evaluations", count(sum(f.gradients for f in audit.findings))),
        ("time", duration(sum(f.seconds for f in audit.findings))),
    ]
    return [(name, text) for name, text in rows if text]


def _groups(
    findings: list[FindingDocument], views: list[FindingView]
) -> list[tuple[str, list[FindingView]]]:
    """Findings by family, the families in the order in which checks run."""
    found: dict[str, list[FindingView]] = {name: [] for name in _FAMILIES}
    for finding, view in zip(findings, views, strict=True):
        found.setdefault(finding.family or "other", []).append(view)
    return [(name, members) for name, members in found.items() if members]


def _finding(
    number: int, finding: FindingDocument, folder: RunFolder, album: Album, room: list[int]
) -> FindingView:
    """One finding; what its drawings take is taken from the room of the page."""
    figures, faults = [], []
    for value in finding.figures:
        drawn = draw(value, folder, album)
        if isinstance(drawn, Drawn) and len(drawn.svg) > room[0]:
            drawn = "A figure is not shown: the page would become too large."
        if isinstance(drawn, str):
            faults.append(drawn)
        else:
            room[0] -= len(drawn.svg)
            figures.append(drawn)
    threshold, spent = finding.threshold, []
    if finding.gradients:
        spent.append(count_of(finding.gradients, "gradient evaluation"))
    spent.append(duration(finding.seconds))
    return FindingView(
        anchor=f"finding-{number}-{re.sub('[^a-z0-9]+', '-', finding.check[:40].lower())}",
        check=finding.check,
        badge=badge(finding.verdict),
        statement=finding.statement,
        where=finding.where,
        value=measured(finding.value, finding.interval, finding.level, finding.unit),
        limit=limit(threshold, finding.unit),
        behind=behind(threshold),
        remedy=finding.remedy,
        remedied=remedied(finding),
        verified=finding.verified,
        cost=", ".join(spent),
        earlier=finding.earlier,
        evidence=_spaced(flatten(_rounded(finding.evidence))),
        figures=figures,
        faults=faults,
    )


def _rounded(value: Any, depth: int = 0) -> Any:
    """A JSON value whose numbers have six digits, or are words; findings.json has all of them."""
    if value in ("inf", "-inf", "nan"):
        return number_words(float(value))
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if depth < 12 and isinstance(value, dict):
        return {key: _rounded(item, depth + 1) for key, item in value.items()}
    if depth < 12 and isinstance(value, list):
        return [_rounded(item, depth + 1) for item in value[:200]]
    return value


def _spaced(rows: Rows) -> Rows:
    """Rows whose names are words."""
    return [(name.replace("_", " "), text) for name, text in rows]


def _word(subject: dict[str, Any], key: str) -> str:
    """What the subject says under a key, if that is text."""
    value = subject.get(key)
    return shorten(value, 120) if isinstance(value, str) else ""
