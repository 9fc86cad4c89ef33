import torch

from wellposed.models import SmallCNN


def test_has_as_many_weights_as_counted_by_hand():
    model = SmallCNN(shape=(1, 28, 28), classes=10)
    by_hand = (9 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 49 * 10 + 10)
    assert sum(p.numel() for p in model.parameters()) == by_hand == 50_186


def test_features_move_with_the_image():
    model = SmallCNN(shape=(1, 32, 32), classes=10)
    image = torch.zeros(1, 1, 32, 32)
    image[..., 12:18, 11:17] = torch.randn(6, 6)
    here, there = model.features(image), model.features(image.roll((4, -4), (2, 3)))
    torch.testing.assert_close(here[..., 1:-2, 2:-1], there[..., 2:-1, 1:-2])


def test_gradients_are_those_of_finite_differences():
    model = SmallCNN(shape=(1, 4, 4), classes=2).double()
    inputs = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, (inputs,))
