"""One self-contained HTML page for a run folder, a race folder, or an audit."""

import re
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from wellposed.report._audit import PAGE, view_audit
from wellposed.report._audit_document import has_audit
from wellposed.report._load import load_race, load_run
from wellposed.report._palette import css_variables
from wellposed.report._pictures import Album
from wellposed.report._race import view_race
from wellposed.report._run import view_run
from wellposed.report._sentences import moment
from wellposed.runs import RunFolder

_PICTURES = 5_000_000  # bytes of the pictures of an audit

# What HTML cannot hold, and what would turn the direction of text around it.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


def render(folder: RunFolder | Path | str) -> Path:
    """Write the report of a folder into it, and return its path.

    A run or a race has report.html, an audit of a foreign network has audit.html; a run that was
    audited has both.

    The page is one file that needs no network and no script: figures are inline SVG, pictures are
    in the page. It shows what the folder holds; what is missing or damaged is said in the page.
    Everything that comes from the folder is escaped.

    Args:
        folder: A folder of any kind, in any state.

    Raises `RunFolderError` if it is no run folder that this version reads, or the page cannot be
    written.
    """
    opened = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    if opened.kind == "audit":
        return render_audit(opened)
    if has_audit(opened):
        render_audit(opened)
    opened.write("report.html", page(opened))
    return opened.path / "report.html"


def render_audit(folder: RunFolder | Path | str) -> Path:
    """Write audit.html, the page of findings.json, into a folder, and return its path.

    As `render`: one file without network or script; what is missing or damaged is said in the page.

    Args:
        folder: A run folder that was audited, or the folder of an audit.

    Raises `RunFolderError` if it is no run folder that this version reads, or the page cannot be
    written.
    """
    opened = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    view, info = view_audit(opened, Album(_PICTURES)), opened.info()
    opened.write(PAGE, template("audit.html.jinja").render(view=view, info=info))
    return opened.path / PAGE


def page(folder: RunFolder) -> str:
    """The report of a folder as HTML.

    Raises `RunFolderError` if it is no run folder that this version reads.
    """
    info = folder.info()
    view = (
        view_race(load_race(folder), Album())
        if info["kind"] == "race"
        else view_run(load_run(folder), Album())
    )
    return template(f"{info['kind']}.html.jinja").render(view=view, info=info)


def standalone(figure: Markup) -> str:
    """A figure as an SVG file of its own, with its colors on light and dark paper.

    Args:
        figure: As `line_chart` and `interval_chart` make it for a page.
    """
    head, rest = figure.split(">", 1)
    return template("figure.svg.jinja").render(head=Markup(head), rest=Markup(rest))


def template(name: str) -> Template:
    """A template of this package; what is put into it is escaped, unless it is markup."""
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """The templates; everything is escaped, and an unknown name is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = moment
    environment.globals["light"] = css_variables("light")
    environment.globals["dark"] = css_variables("dark")
    return environment


def _clean(value: object) -> object:
    """A value without the characters that HTML cannot hold; markup stays markup."""
    if not isinstance(value, str):
        return value
    cleaned = _UNFIT.sub("\ufffd", value)
    return Markup(cleaned) if isinstance(value, Markup) else cleaned
