import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.runs import Listing, Verdict
from wellposed.stats import risk_coverage


def drawn(n, seed, classes=4):
    generator = torch.Generator().manual_seed(seed)
    z = 1.5 * torch.randn(n, classes, generator=generator)
    return z, torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]


def found(z, y, **known):
    return examine(Subject(nn.Identity(), (z, y), **known), ["selective"])["selective"]


def test_calibrated_confidence_passes():
    z, y = drawn(1000, 0)
    finding = found(z, y)
    assert finding.verdict is Verdict.PASS
    c, guess = z.softmax(1).max(1)
    right = risk_coverage(c.double().numpy(), (guess != y).numpy())
    assert finding.value == pytest.approx(right.area, rel=1e-3)
    assert finding.interval[0] < right.area < finding.interval[1]
    assert finding.interval[1] < finding.threshold.value
    assert "equal" in finding.verified


def test_healthy_networks_raise_no_alarm():
    assert all(found(*drawn(400, s), seed=s).verdict is Verdict.PASS for s in range(20))


def random_confidence(n, seed):
    """Sizes of logits that have nothing to do with whether the answer is right."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (n,), generator=generator)
    hit = torch.rand(n, generator=generator) < 0.7
    guess = torch.where(hit, y, (y + 1) % 4)
    size = 3 * torch.rand(n, generator=generator)
    return nn.functional.one_hot(guess, 4) * size[:, None], y, hit


def test_confidence_that_says_nothing_is_found():
    verdicts = [found(*random_confidence(1000, s)[:2], seed=s).verdict for s in range(20)]
    assert verdicts.count(Verdict.PASS) <= 1  # 1 % of them look ordered by chance
    assert Verdict.WARN in verdicts


def test_confidence_the_wrong_way_round_fails():
    z, y, hit = random_confidence(1000, 0)
    z = z.sign() * torch.where(hit, 0.5, 2.0)[:, None]
    finding = found(z, y)
    assert finding.verdict is Verdict.FAIL
    # right answers last: the risk is 1 up to them
    k, n = int((~hit).sum()), len(hit)
    assert finding.value == pytest.approx(_ordered(k, n), rel=0.01)
    assert finding.threshold.source.startswith("99 % quantile")
    assert finding.threshold.value > 1 - float(hit.double().mean())


def _ordered(wrong, n):
    """The area where wrong answers come in random order before right ones in random order."""
    return sum(min(1.0, wrong / i) for i in range(1, n + 1)) / n


def test_random_confidence_never_fails_though_it_is_above_the_lower_quantile():
    findings = [found(*random_confidence(300, s)[:2], seed=s) for s in range(100, 130)]
    findings += [found(*guesses(300, s, shift=0.0), seed=s) for s in range(30)]
    assert not [f for f in findings if f.verdict is Verdict.FAIL]
    # where most answers are wrong, the interval is narrow and often above the lower quantile
    assert [f for f in findings if f.interval[0] > f.threshold.value]


def guesses(n, seed, shift):
    """Answers that are right as often as by chance, whose confidence is higher where wrong."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(10, (n,), generator=generator)
    guess = torch.randint(10, (n,), generator=generator)
    size = 1 + torch.rand(n, generator=generator) + shift * (guess != y)
    return nn.functional.one_hot(guess, 10) * size[:, None], y


def test_answers_at_random_have_nothing_to_rank():
    finding = found(*guesses(600, 0, shift=2.0))
    assert finding.verdict is Verdict.WARN
    assert "naming one class for all may do as well" in finding.statement


def test_promised_thresholds_hold_on_fresh_examples():
    finding = found(*drawn(5000, 1))
    z, y = drawn(50_000, 2)
    c, guess = z.double().softmax(1).max(1)
    wrong = (guess != y).double()
    for chosen in finding.evidence["selections"]:
        if chosen["threshold"] is not None:
            assert float(wrong[c > chosen["threshold"]].mean()) <= chosen["bound"]
    assert "keeps the error below" in finding.statement


def test_no_errors_and_too_few():
    z, _ = drawn(300, 3)
    guess = z.argmax(1)
    perfect = found(z, guess)
    assert perfect.verdict is Verdict.UNKNOWN
    assert "None of 300 answers is wrong" in perfect.statement
    assert found(z, (guess + 1) % 4).verdict is Verdict.UNKNOWN
    few = guess.clone()
    sure = z.softmax(1).max(1).values.argsort(descending=True)[50:52]
    few[sure] = (few[sure] + 1) % 4
    assert found(z, few).verdict is not Verdict.PASS


def test_saturated_confidences_are_still_ordered():
    z, y = drawn(1000, 4)
    finding = found(200 * z, y)  # nearly all confidences round to 1
    assert finding.verdict is Verdict.PASS


def test_figures():
    curve, listing = found(*drawn(1000, 0)).figures
    assert curve.marks[0].name == "at random"
    assert isinstance(listing, Listing)
    assert len(listing.rows) == 8


def test_what_it_cannot_judge():
    z, _ = drawn(40, 0)
    finding = found(z, torch.zeros(40, dtype=torch.int64))
    assert finding.verdict is Verdict.UNKNOWN
    assert "all 40 test examples are of class 0" in finding.statement
