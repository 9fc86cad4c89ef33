"""Everything an audit found, as one document of a folder: findings.json and its pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, final

from wellposed.errors import RunFolderError, UnknownNameError
from wellposed.runs._finding import Finding, Verdict
from wellposed.runs._folder import RunFolder

AUDIT_FORMAT = 1
"""Version of findings.json; a reader refuses a larger one."""

FINDINGS = "findings.json"


@final
@dataclass(frozen=True, slots=True)
class Audit:
    """The findings of one audit, the most urgent first.

    Args:
        subject: What was examined, in words and numbers: name, data, parameters, weights' sha256.
        budget: "quick", "standard" or "deep".
        seed: Of every draw.
        findings: In the order of the checks.
        complete: Whether all checks that were asked for have ended.
        day: When it was written, such as "2026-11-28"; "" before that.
    """

    subject: dict[str, Any]
    budget: str
    seed: int
    findings: tuple[Finding, ...] = field(default=())
    complete: bool = True
    day: str = field(default="", compare=False)

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self.findings, key=lambda finding: finding.verdict.rank))

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, check: str) -> Finding:
        """The finding of a check, by its name.

        Raises:
            UnknownNameError: If there is none.
        """
        known = {finding.check: finding for finding in self.findings}
        if check not in known:
            raise UnknownNameError("finding", check, known)
        return known[check]

    @property
    def counts(self) -> dict[str, int]:
        """How many findings have each verdict."""
        return {v.value: sum(f.verdict is v for f in self.findings) for v in Verdict}

    @property
    def passed(self) -> bool:
        """Whether every check passed: nothing failed, warned, or could not be checked."""
        return bool(self.findings) and all(f.verdict is Verdict.PASS for f in self.findings)

    def write(self, folder: RunFolder) -> None:
        """Write findings.json and its pictures into a folder; the pictures first.

        Raises `RunFolderError` if it cannot be written.
        """
        found = []
        for finding in self.findings:
            value, files = finding.to_dict()
            for name, data in files.items():
                folder.write(name, data)
            found.append(value)
        folder.write_json(
            FINDINGS,
            {
                "format": AUDIT_FORMAT,
                "subject": self.subject,
                "budget": self.budget,
                "seed": self.seed,
                "complete": self.complete,
                "day": datetime.now().astimezone().date().isoformat(),
                "counts": self.counts,
                "findings": found,
            },
        )

    @classmethod
    def read(cls, folder: RunFolder) -> "Audit":
        """The audit that was written into a folder.

        Raises:
            RunFolderError: If there is none, it is damaged, or a newer version wrote it.
        """
        value = folder.read_json(FINDINGS)
        try:
            if value["format"] > AUDIT_FORMAT:
                raise RunFolderError(
                    f"{folder.path / FINDINGS} has format {value['format']}, written by a newer "
                    f"wellposed; this one reads up to {AUDIT_FORMAT}, so upgrade: pip install "
                    "--upgrade wellposed"
                )
            found = [Finding.from_dict(item, _files(folder, item)) for item in value["findings"]]
            return cls(
                subject=dict(value["subject"]),
                budget=str(value["budget"]),
                seed=int(value["seed"]),
                findings=tuple(found),
                complete=bool(value["complete"]),
                day=str(value.get("day", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFolderError(
                f"{folder.path / FINDINGS} is damaged: {error}; audit again"
            ) from error


def _files(folder: RunFolder, finding: dict[str, Any]) -> dict[str, bytes]:
    """The pictures of a finding that are in the folder."""
    names = [
        cell["picture"]
        for figure in finding.get("figures", [])
        if figure.get("kind") == "pictures"
        for row in figure.get("rows", [])
        for cell in row
    ]
    return {name: folder.read(name) for name in names if folder.has(name)}
