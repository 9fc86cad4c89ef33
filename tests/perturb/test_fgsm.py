import torch
from torch import nn

from wellposed.perturb import FGSM, L1, L2, CrossEntropy, Linf


def test_is_exact_for_a_linear_model_away_from_the_bounds():
    torch.manual_seed(0)
    model = nn.Linear(12, 2).double()
    x = torch.rand(50, 12, dtype=torch.float64)
    y = model(x).argmax(1)
    w = (model.weight[0] - model.weight[1]).detach()
    lead = (model(x)[:, 0] - model(x)[:, 1]).abs().detach()
    for ball, dual in ((Linf(0.03), 1), (L2(0.1), 2), (L1(0.2), torch.inf)):
        found = FGSM()(model, x, y, ball, bounds=(-1.0, 2.0))
        fall = ball.eps * torch.linalg.vector_norm(w, dual)
        torch.testing.assert_close(found.margin, lead - fall)
        assert torch.equal(found.broken, lead <= fall)
        assert 0 < found.accuracy < 1


def test_takes_one_gradient():
    model = nn.Linear(4, 3)
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0))
    found = FGSM(CrossEntropy())(model, x, model(x).argmax(1), Linf(1e-3))
    assert found.gradients.tolist() == [1] * 30
    assert found.forwards[~found.broken].eq(2).all()
