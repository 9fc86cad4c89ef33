import pytest
import torch
from torch import nn

from wellposed.data import Batches, Examples
from wellposed.losses import CrossEntropy
from wellposed.train import evaluate


class Table(nn.Module):
    """Gives rows of scores; has dropout, which must not act."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Parameter(scores)
        self.dropout = nn.Dropout(0.9)
        self.frozen = nn.Dropout(0.9).eval()

    def forward(self, inputs):
        return self.dropout(self.scores[inputs[:, 0].long()])


def rows(targets):
    return Examples(torch.arange(len(targets))[:, None].float(), torch.tensor(targets))


def test_counts_by_hand():
    # Three classes; example 0 right, 1 wrong (2 for 1), 2 right, 3 wrong (0 for 1) with p = 0.5.
    ln3, ln2 = torch.tensor(3.0).log(), torch.tensor(2.0).log()
    scores = torch.tensor([[9.0, 0, 0], [0, 0, ln3], [0, 9, 0], [ln2, 0, 0]])
    found = evaluate(Table(scores), rows([0, 1, 1, 1]), CrossEntropy(), batch_size=3)
    assert found.n == 4
    assert found.error == 0.5
    assert found.top5_error is None
    assert found.confusion.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    expected = nn.functional.cross_entropy(scores, torch.tensor([0, 1, 1, 1])).item()
    assert found.loss == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(found.confidence[[1, 3]], torch.tensor([0.6, 0.5]))
    assert found.predicted.tolist() == [0, 2, 1, 0]
    assert found.mistakes(5) == [1, 3]
    assert found.mistakes(1) == [1]


def test_top5_needs_six_classes():
    scores = torch.tensor([[6.0, 5, 4, 3, 2, 1], [6.0, 5, 4, 3, 2, 1]])
    found = evaluate(Table(scores), rows([5, 4]), CrossEntropy())
    assert (found.error, found.top5_error) == (1.0, 0.5)


def test_a_network_that_blew_up_is_wrong_everywhere():
    scores = torch.full((3, 2), float("nan"))
    assert evaluate(Table(scores), rows([0, 0, 1]), CrossEntropy()).error == 1.0


def test_modes_are_put_back_and_no_gradient_is_kept():
    model = Table(torch.randn(4, 3))
    evaluate(model, rows([0, 1, 2, 0]), CrossEntropy())
    assert (model.training, model.dropout.training, model.frozen.training) == (True, True, False)
    assert model.scores.grad is None


def test_batches_may_be_given_and_a_model_may_have_no_weights():
    examples = Examples(torch.eye(4, 3), torch.tensor([0, 1, 2, 0]))
    autocast = torch.autocast("cpu", torch.bfloat16)
    found = evaluate(nn.Identity(), examples, CrossEntropy(), autocast=autocast)
    again = evaluate(nn.Identity(), Batches(examples, 2, shuffle=False), CrossEntropy())
    assert found.error == again.error == 0.0
