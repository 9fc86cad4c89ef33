import torch

from wellposed.models import Linear


def weights(model):
    return sum(p.numel() for p in model.parameters())


def test_is_w_x_plus_b():
    model = Linear(shape=(2, 3), classes=4).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    w, b = model.linear.weight, model.linear.bias
    torch.testing.assert_close(model(x), x.reshape(5, 6) @ w.T + b)
    assert weights(model) == 4 * 6 + 4


def test_takes_points_of_the_plane():
    assert Linear(shape=(2,), classes=2)(torch.zeros(7, 2)).shape == (7, 2)
