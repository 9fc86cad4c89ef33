import pytest

from wellposed.pde import TOY_LOSSES
from wellposed.report import relaxations, relaxed_page


@pytest.fixture(scope="module")
def view():
    return relaxations(TOY_LOSSES["double-well"], (0.1,), 4.0, points=61)


def test_the_page_has_figure_words_and_command(view):
    text = relaxed_page(view, "wellposed relax double-well > 'a<b'")
    assert text.count("<svg") == 2  # wide and narrow
    for sentence in view.sentences:
        assert f"<li>{sentence}</li>" in text
    assert "smooth for t &lt; 1/|lambda_min|" in text
    assert "is everything nearby good?" in text
    assert "wellposed relax double-well &gt; &#39;a&lt;b&#39;" in text
    assert "How to repeat it" not in relaxed_page(view)


def test_it_is_not_signed_as_the_report_of_a_run(view):
    text = relaxed_page(view)
    assert "from the files of this folder" not in text
    assert "<script" not in text
    assert "default-src 'none'" in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_the_browser(browser, view, tmp_path, width, scheme):
    page = tmp_path / "page.html"
    page.write_text(relaxed_page(view, "wellposed relax"))
    browser.open(page, width, scheme)
    assert browser.complaints == []
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.evaluate(overflow) == 0
    shown = "[...document.querySelectorAll('svg')].filter(s => s.getClientRects().length).length"
    assert browser.evaluate(shown) == 1
