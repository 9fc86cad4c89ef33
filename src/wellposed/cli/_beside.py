"""What becomes of the findings in a folder when new ones come: none goes without a word."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wellposed.runs import Audit, Finding, RunFolder

_NAMES = {"weights_sha256": "state of the weights", "examples_sha256": "content of the data"}


def found_before(folder: "RunFolder") -> "Audit | None":
    """The audit that is in the folder already, if it can be read."""
    from wellposed.errors import WellposedError
    from wellposed.runs import Audit

    with suppress(WellposedError):
        return Audit.read(folder)
    return None


@contextmanager
def findings_kept(folder: "RunFolder") -> Iterator[None]:
    """What turns out wrong in this block costs no finding that is in the folder already."""
    from wellposed.errors import WellposedError

    before = found_before(folder)
    try:
        yield
    except WellposedError:
        if before is not None:
            before.write(folder)
        raise


def beside(before: "Audit | None", found: "Audit", *, goes_on: bool) -> "Audit":
    """New findings, and those of checks that were not asked again about the same subject.

    Args:
        before: What was in the folder.
        found: The new findings.
        goes_on: Whether `found` still takes findings over from an audit that was interrupted;
            then those are not called earlier ones.
    """
    if before is None or (before.subject, before.seed) != (found.subject, found.seed):
        return found
    fresh = {finding.check: finding for finding in found.findings}
    note = (
        f"measured {f'on {before.day}' if before.day else 'earlier'} at the {before.budget} "
        "budget; not asked again since"
    )
    kept = [fresh.pop(f.check, f if goes_on else _earlier(f, note)) for f in before.findings]
    return replace(found, findings=(*kept, *fresh.values()))


def put_aside(
    folder: "RunFolder", before: "Audit | None", subject: dict[str, Any], seed: int
) -> str:
    """Save findings about another subject, by other draws, or unreadable ones, by another name.

    Args:
        folder: Where new findings will go.
        before: What is there, if it can be read.
        subject: What the new findings will be about.
        seed: Of their draws.

    Returns what was done in a sentence, or "" if there was nothing to do.
    """
    from wellposed.runs import FINDINGS

    asked = (subject, seed)
    if not folder.has(FINDINGS) or (before is not None and (before.subject, before.seed) == asked):
        return ""
    number = next(n for n in range(1, 10**6) if not folder.has(f"findings-{n}.json"))
    folder.write(f"findings-{number}.json", folder.read(FINDINGS))
    why = "could not be read"
    if before is not None:
        why = f"are of another {' and '.join(_other(before, subject, seed))}"
    return (
        f"The findings that were in {folder.path / FINDINGS} {why}; they are kept in "
        f"findings-{number}.json."
    )


def _other(before: "Audit", subject: dict[str, Any], seed: int) -> list[str]:
    """In what two subjects differ; another seed draws other examples to tell data apart by."""
    keys = sorted(k for k in {*before.subject, *subject} if before.subject.get(k) != subject.get(k))
    if before.seed != seed:
        keys = ["seed", *(key for key in keys if key != "examples_sha256")]
    return [_NAMES.get(key, key) for key in keys]


def kept_words(found: "Audit") -> str:
    """Which findings are from an earlier audit, in a sentence; "" if none is."""
    names = [finding.check for finding in found.findings if finding.earlier]
    if not names:
        return ""
    are = "is" if len(names) == 1 else "are"
    return f"{len(names)} of them {are} kept from earlier: {', '.join(names)}."


def _earlier(finding: "Finding", note: str) -> "Finding":
    return finding if finding.earlier else replace(finding, earlier=note)
