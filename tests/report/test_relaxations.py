from xml.etree import ElementTree as ET

import pytest

from wellposed.errors import ArgumentError
from wellposed.pde import TOY_LOSSES
from wellposed.report import relaxations

WELL = TOY_LOSSES["double-well"]


def test_what_is_said_of_a_double_well():
    found = relaxations(WELL, (0.1, 0.4), 4.0, points=101)
    assert found.title == "Double well, relaxed for t = 0.1, 0.4"
    heat, viscous, down, up = found.sentences
    minus = "\u2212"
    assert heat == (
        f"Heat: until t = 0.4 the minimum goes from x = {minus}1.03 to x = {minus}0.80; its value "
        f"rises from {minus}0.15 to 0.38."
    )
    assert viscous.startswith("Viscous Hamilton-Jacobi: until t = 0.4 the minimum ")
    assert down == (
        f"Hamilton-Jacobi: until t = 0.4 the minimum stays at x = {minus}1.03; its value stays "
        f"{minus}0.15."
    )
    assert up.startswith("Hamilton-Jacobi, upwards: until t = 0.4 the minimum goes from")
    # curvature -6 at the top, at most 4 in the valleys
    assert found.caustic == (
        "Lower envelope: smooth for t < 1/|lambda_min| = 0.167. "
        "Upper envelope: smooth for t < 1/lambda_max = 0.250."
    )
    svg = ET.fromstring(str(found.figure))
    assert svg.find("desc").text == " ".join(found.sentences)
    texts = [e.text for e in svg.iter("text")]
    assert "Viscous: beta = 4." in texts
    assert len(str(found.figure)) < 60_000


def test_two_variables_have_two_coordinates():
    found = relaxations(TOY_LOSSES["two-valleys"], (0.3,), 10.0, points=41)
    assert "stays at (\u22120.96, 0.63)" in found.sentences[2]
    assert "<image" in found.figure
    assert "<image" in found.narrow


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((), "got none"),
        ((0.0, 0.1), "got 0, 0.1"),
        ((0.2, 0.1), "got 0.2, 0.1"),
        ((0.1, 0.1), "got 0.1, 0.1"),
        ((0.1, 0.2, 0.3, 0.4), "got 0.1, 0.2, 0.3, 0.4"),
        ((float("nan"),), "got nan"),
    ],
)
def test_times_are_few_positive_and_ascending(times, said):
    with pytest.raises(ArgumentError, match=f"one to 3 positive times, ascending, {said}"):
        relaxations(WELL, times, 4.0, points=101)


def test_the_same_loss_gives_the_same_figure():
    one, other = (relaxations(WELL, (0.1,), 4.0, points=61) for _ in range(2))
    assert one.figure == other.figure
