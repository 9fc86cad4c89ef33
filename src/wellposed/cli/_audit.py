"""`wellposed audit RUN`: examine a trained network, and say what was found."""

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wellposed.cli._audit_progress import AuditProgress, value_words
from wellposed.cli._base import DataDir, Json, Trust, opened
from wellposed.cli._beside import beside, found_before, kept_words, put_aside
from wellposed.cli._output import Output

if TYPE_CHECKING:
    from wellposed.audit import Plan, Subject
    from wellposed.runs import Audit, RunFolder

FOUND = 1


def audit(
    subject: Annotated[
        str,
        typer.Argument(metavar="RUN|MODULE:FACTORY", help="Run folder, or who makes a model."),
    ],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights: .safetensors, or of torch.save.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="A dataset, a folder of images, or an .npz file."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="A check or a family; may be repeated."),
    ] = None,
    budget: Annotated[str, typer.Option(help="quick, standard or deep.")] = "standard",
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 unless all pass.")] = False,
    other: Annotated[
        Path | None, typer.Option(metavar="RUN|FILE", help="A second training, for the barrier.")
    ] = None,
    initial: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights before training (MODULE).")
    ] = None,
    loss: Annotated[str, typer.Option(help="Loss that was minimized (MODULE).")] = "crossentropy",
    lr: Annotated[float | None, typer.Option(help="Step size of training (MODULE).")] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The model takes inputs that are not standardized.")
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="Trained on the parts that wellposed draws (MODULE).")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of every draw.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where findings go. Default: RUN itself.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Print the checks and their cost, and stop.")
    ] = False,
    data_dir: DataDir = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    r"""Examine a trained network: what was measured, how sure it is, and what to try.

    Findings go to RUN/findings.json and RUN/audit.html; those of a model that was trained elsewhere
    to a folder of their own. Every finding is pass, warn, fail or unknown: what could not be
    checked never passes. Ctrl-C keeps the findings so far; the same command goes on from there
    (of a MODULE, with --out).

    Nobody knows what a MODULE was trained on: data without a test part are all taken as test part,
    unless --split says that training was on the parts that `wellposed.data.load` draws.

    \b
    Examples:
      wellposed audit runs/mine
      wellposed audit runs/mine --only curvature --only calibration --budget deep
      wellposed audit runs/mine --other runs/again       barrier between two runs
      wellposed audit package.module:factory --weights model.safetensors --data fashion-mnist

    \b
    Exit codes: 0 nothing failed, 1 something failed (with --strict: did not pass), 2 bad input.
    """
    from wellposed.audit import plan, require_budget
    from wellposed.errors import Interrupted
    from wellposed.runs import exclusive

    console = Output(as_json=as_json)
    chosen = require_budget(budget)
    settings = {
        "subject": subject, "weights": weights, "data": data, "other": other, "initial": initial,
        "loss": loss, "lr": lr, "raw": raw, "split": split, "seed": seed,
    }  # fmt: skip
    made, foreign = subject_of(console, settings, data_dir, trust=trust)
    with console.apart():
        agenda = plan(made, only, chosen)
    if plan_only:
        _show_plan(console, agenda)
        return
    folder = where_findings_go(subject, out, settings, foreign=foreign)
    try:
        with exclusive(folder.path), console.apart():
            found = examined(console, made, agenda, folder)
    except KeyboardInterrupt:
        where = f", with --out {shlex.quote(str(folder.path))}" if foreign and out is None else ""
        raise Interrupted(signal.SIGINT, f"the same command{where}") from None
    _say(console, found, folder)
    bad = not found.passed if strict else found.counts["fail"] > 0
    raise typer.Exit(FOUND if bad else 0)


def examined(
    console: Output, made: "Subject", agenda: "Plan", folder: "RunFolder", *, resume: bool = True
) -> "Audit":
    """The findings, each of which is in the folder as soon as there is one.

    Those of checks that are not on the agenda stay there, and say when they were measured.

    Args:
        console: Where progress goes.
        made: What is examined.
        agenda: By which checks.
        folder: Where findings go.
        resume: Whether findings of an audit that was interrupted count.
    """
    from wellposed.audit import examine
    from wellposed.runs import Status

    before = found_before(folder)
    if said := put_aside(folder, before, made.describe(), made.seed):
        console.line(said)
    goes_on = (
        resume
        and before is not None
        and not before.complete
        and (before.budget, before.seed) == (agenda.budget, made.seed)
    )

    def keep(audit: "Audit") -> None:
        beside(before, audit, goes_on=goes_on).write(folder)

    with AuditProgress(console, keep) as progress:
        found = examine(made, agenda, known=before if resume else None, observer=progress)
    found = beside(before, found, goes_on=False)
    found.write(folder)
    if folder.kind == "audit":
        folder.set_status(Status.DONE)
    return found


def own_subject(settings: dict[str, Any], data_dir: Path | None, *, trust: bool) -> "Subject":
    """The network of a run folder."""
    from wellposed.errors import require
    from wellposed.recipe import subject_of_run

    alien = [f"--{key}" for key in ("weights", "initial", "lr") if settings[key] is not None]
    require(
        not alien,
        f"{', '.join(alien)} says of a foreign model what a run folder says itself; leave it out, "
        "or name the model as package.module:factory",
    )
    folder = opened(Path(settings["subject"]), trust=trust)
    return subject_of_run(
        folder,
        data=settings["data"],
        other=settings["other"],
        data_dir=data_dir,
        seed=settings["seed"],
    )


def subject_of(
    console: Output, settings: dict[str, Any], data_dir: Path | None, *, trust: bool
) -> tuple["Subject", bool]:
    """What was named, a run or a model, and whether it is a model of somebody else's."""
    from wellposed.errors import require

    name = settings["subject"]
    foreign = ":" in name and not Path(name).exists()
    require(
        foreign or Path(name).exists(),
        f"{name} does not exist; give a run's folder, or a model as package.module:factory",
    )
    with console.apart():
        if foreign:
            return foreign_subject(settings, data_dir), True
        return own_subject(settings, data_dir, trust=trust), False


def foreign_subject(settings: dict[str, Any], data_dir: Path | None) -> "Subject":
    """A model that was trained elsewhere."""
    from wellposed.errors import require
    from wellposed.recipe import subject_of_module

    require(
        settings["data"] is not None,
        f"{settings['subject']} needs data to be examined on: add --data with a dataset's name, a "
        "folder of images or an .npz file",
    )
    given = {key: value for key, value in settings.items() if key != "subject"}
    return subject_of_module(settings["subject"], data_dir=data_dir, **given)


def where_findings_go(
    subject: str, out: Path | None, settings: dict[str, Any], *, foreign: bool
) -> "RunFolder":
    """Where the findings go: into the run, or a folder of kind "audit" for a foreign model."""
    from wellposed.errors import require
    from wellposed.recipe import audit_recipe
    from wellposed.runs import RunFolder, fresh_path, provenance

    if out is not None and (out / "run.json").is_file():
        found = RunFolder.open(out)
        own = not foreign and out.resolve() == Path(subject).resolve()
        require(
            own or found.kind == "audit",
            f"{out} is a training's folder, and findings about {subject} would take the place of "
            "its own; choose another folder for --out",
        )
        return found
    if not foreign and out is None:
        return RunFolder.open(Path(subject))
    path = out or fresh_path(Path("audits"), subject.replace(":", "-"))
    recipe = audit_recipe({k: str(v) if isinstance(v, Path) else v for k, v in settings.items()})
    return RunFolder.create(
        path, kind="audit", recipe=recipe, provenance=provenance({"audit": settings["seed"]})
    )


def _show_plan(console: Output, agenda: Any) -> None:
    for check, gradients in zip(agenda.checks, agenda.gradients, strict=True):
        console.record(
            {"event": "check", "check": check.name, "family": check.family, "gradients": gradients}
        )
    rows = [
        (check.name, check.family, check.question, f"{gradients:,}")
        for check, gradients in zip(agenda.checks, agenda.gradients, strict=True)
    ]
    console.table(("check", "family", "question", "gradients"), rows, right=3)
    console.line(f"Together {agenda.total:,} gradient evaluations, about {agenda.eta:.0f} s here.")


def _say(console: Output, found: "Audit", folder: "RunFolder") -> None:
    """All findings, the most urgent first, and where they are kept."""
    from wellposed.report import render, render_audit

    rows = [(f.verdict.value.upper(), f.check, value_words(f), f.statement) for f in found]
    console.line()
    console.table(("verdict", "check", "value", "what was found"), rows)
    remedies = [f"{f.check}: {f.remedy}" for f in found if f.remedy]
    if remedies:
        console.line()
        console.line("What to try:")
        for text in remedies:
            console.paragraph(f"  {text}")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in found.counts.items() if number)
    console.line()
    console.line(f"{len(found)} check{'s' if len(found) > 1 else ''}: {counts}.")
    if kept := kept_words(found):
        console.paragraph(kept)
    render(folder)  # a run's report names its audit
    page = render_audit(folder)
    console.record(
        {"event": "audit", "folder": str(folder.path), "counts": found.counts, "report": str(page)}
    )
    console.line(f"Findings: {shlex.quote(str(folder.path / 'findings.json'))}")
    console.line(f"Report: {shlex.quote(str(page))}")
