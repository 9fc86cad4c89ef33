import pytest

from wellposed.report._audit_document import FindingDocument, ThresholdDocument
from wellposed.report._verdicts import MEANING, badge, behind, limit, measured, remedied
from wellposed.runs import Verdict

NBSP = "\u00a0"
INF, NAN = float("inf"), float("nan")


def test_every_verdict_has_its_word_and_a_shape_of_its_own():
    drawn = {verdict: badge(verdict) for verdict in Verdict}
    assert set(MEANING) == set(Verdict)
    shapes = {text.split("<svg")[1].split("</svg>")[0] for text in drawn.values()}
    assert len(shapes) == len(Verdict)
    for verdict, text in drawn.items():
        assert text.endswith(f"</svg>{verdict.value}</span>")
        assert 'aria-hidden="true"' in text


@pytest.mark.parametrize(
    ("value", "interval", "level", "unit", "text"),
    [
        (None, None, None, "", ""),
        (31.4159, (29.84, 33.06), 0.99, "", f"31.4 (29.8 to 33.1 at 99{NBSP}%)"),
        (0.061, (0.052, 0.07), 0.95, "share", f"6.10{NBSP}% (5.20 to 7.00{NBSP}% at 95{NBSP}%)"),
        (0.5, (0.5, 0.5), None, "share", f"50.0{NBSP}%"),
        (20.0, None, None, "entries", f"20{NBSP}entries"),
        (0.0, (0.0, 0.0), None, "entries", f"0{NBSP}entries"),
        (-1.5, (-2.0, -1.0), None, "", "\u22121.50 (\u22122.00 to \u22121.00)"),
        (1.2e-9, (1.1e-9, 1.3e-9), None, "",
         "1.20\u00b710\u207b\u2079 (1.10\u00b710\u207b\u2079 to "
         "1.30\u00b710\u207b\u2079)"),
        (NAN, None, None, "", "not a number"),
        (INF, (1.0, INF), None, "", "infinite (at least 1)"),
        (2.0, (-INF, 3.0), None, "", "2 (at most 3)"),
        (2.0, (-INF, INF), 0.95, "", f"2 (no bounds at 95{NBSP}%)"),
        (NAN, (NAN, NAN), None, "share", "not a number (not known)"),
        (12345678.0, (12345600.0, 12345800.0), None, "",
         "1.234568\u00b710\u2077 (1.234560\u00b710\u2077 to 1.234580\u00b710\u2077)"),
    ],
)  # fmt: skip
def test_a_value_has_the_digits_that_its_interval_leaves(value, interval, level, unit, text):
    assert measured(value, interval, level, unit) == text


def test_thresholds_and_remedies_in_words():
    threshold = ThresholdDocument(value=20.0, bad="above", kind="theorem", source="2/lr")
    assert limit(threshold, "") == "trouble above 20"
    assert behind(threshold) == "theorem: 2/lr"
    assert limit(None, "") == behind(None) == ""
    finding = FindingDocument(
        check="a", verdict="fail", statement="b", value=31.4, remedied=17.25, unit="steps"
    )
    assert remedied(finding) == f"tried on a copy: 31.4{NBSP}steps became 17.25{NBSP}steps"
    assert remedied(finding.model_copy(update={"value": None})) == f"on a copy: 17.25{NBSP}steps"
    assert remedied(finding.model_copy(update={"remedied": None})) == ""
