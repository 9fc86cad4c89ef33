"""A relaxed loss as one self-contained HTML page."""

from wellposed.report._page import template
from wellposed.report._relaxations import EQUATIONS, Relaxations


def relaxed_page(view: Relaxations, command: str = "") -> str:
    """The figure of a relaxed loss with its words, as HTML that needs no network and no script.

    Args:
        view: What `relaxations` has made.
        command: The command line that made it, to be repeated.
    """
    return template("relaxed.html.jinja").render(view=view, equations=EQUATIONS, command=command)
