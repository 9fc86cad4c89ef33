"""Every check answers, or says why not, on networks that were not written for this project."""

import pytest
import torch
from tests.audit.plain import foreign
from tests.audit.zoo import ZOO, digits, made, trained

from wellposed.audit import CHECKS, Subject, examine
from wellposed.runs import Verdict


@pytest.mark.slow
@pytest.mark.parametrize("fresh", [True, False], ids=["random", "trained"])
@pytest.mark.parametrize("kind", ZOO)
def test_every_check_answers_or_says_why_not(kind, fresh):
    model = made(kind) if fresh else trained(kind, epochs=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    audit = examine(Subject(model, digits(kind, 600)), budget="quick")
    assert len(audit) == sum("quick" in check.settings for check in CHECKS)
    for finding in audit:
        assert finding.statement
        assert not _a_traceback_s_words(finding), finding
        assert foreign(finding, finding.check) == []
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def _a_traceback_s_words(finding):
    """Whether it says an exception's name instead of a reason."""
    if finding.verdict is not Verdict.UNKNOWN:
        return False
    word = finding.statement.removeprefix("Not checked: ").split(":")[0]
    return word.endswith(("Error", "Exception")) and " " not in word
