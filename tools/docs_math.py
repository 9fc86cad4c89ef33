"""Markdown extension: LaTeX between dollars becomes MathML, which browsers draw by themselves."""

from xml.etree import ElementTree as ET

from latex2mathml.converter import convert_to_element
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor

# Before backslash escapes (180) and after code spans (190), so that `$` in code stays a dollar.
PRIORITY = 185
DISPLAY = r"\$\$(.+?)\$\$"
INLINE = r"(?<![\\$\w])\$(?!\s)([^$\n]+?(?:\n[^$\n]+?)?)(?<!\s)\$(?![\w$])"


class MathProcessor(InlineProcessor):
    """Replaces one formula by its MathML element."""

    def __init__(self, pattern: str, markdown: Markdown, display: str) -> None:
        super().__init__(pattern, markdown)
        self.display = display

    def handleMatch(self, match, data):  # noqa: ARG002, N802 - its name and arguments are Markdown's
        """MathML for the matched formula, kept whole by an inline stash."""
        element = convert_to_element(match.group(1).strip(), display=self.display)
        # The converter writes symbols as entities, which must not be escaped once more.
        html = ET.tostring(element, encoding="unicode").replace("&amp;#x", "&#x")
        if self.display == "block":  # wider than a phone: it scrolls, the page does not
            html = f'<span style="display: block; overflow: auto hidden">{html}</span>'
        return self.md.htmlStash.store(html), match.start(0), match.end(0)


class MathExtension(Extension):
    """Registers the two delimiters."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Add display and inline patterns."""
        md.inlinePatterns.register(
            MathProcessor(DISPLAY, md, "block"), "math-display", PRIORITY + 1
        )
        md.inlinePatterns.register(MathProcessor(INLINE, md, "inline"), "math-inline", PRIORITY)


def makeExtension(**options: object) -> MathExtension:  # noqa: N802
    """Entry point that Markdown looks for."""
    return MathExtension(**options)
