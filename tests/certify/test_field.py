import torch

from wellposed.certify._field import as_field
from wellposed.certify._window import Window, channels_last

VALUES = [torch.randn(3, 2, 4, 5, dtype=torch.float64) for _ in range(2)]


def test_numbers_beside_a_window_are_those_of_its_places():
    field = as_field(VALUES)
    window = Window(
        torch.zeros((4, 3, 2, 2), dtype=torch.float64),
        torch.tensor([[-1, 0], [2, 4], [0, 1], [1, 3]]),
    )
    images = torch.tensor([0, 2, 1, 1])
    for found, value in zip(field.at(window, images), VALUES, strict=True):
        assert found.shape == window.values.shape
        for row, ((top, left), image) in enumerate(
            zip(window.corner.tolist(), images, strict=True)
        ):
            for y in range(3):
                for x in range(2):
                    inside = 0 <= top + y < 4 and 0 <= left + x < 5
                    right = value[image, :, top + y, left + x] if inside else torch.zeros(2)
                    assert torch.equal(found[row, y, x], right.double())
    one = field.at(Window(window.values, window.corner), 1)
    assert torch.equal(one[0], field.at(window, torch.ones(4, dtype=torch.long))[0])


def test_whole_images_and_vectors():
    field = as_field(VALUES)
    whole = Window(torch.zeros((2, 4, 5, 2)))
    assert torch.equal(field.at(whole, torch.tensor([2, 0]))[1], channels_last(VALUES[1])[[2, 0]])
    assert field.at(whole, 2)[0].shape == (1, 4, 5, 2)
    vector = as_field([torch.arange(6.0).reshape(3, 2)])
    assert vector.flat is None
    assert vector.at(Window(torch.zeros(1, 2)), 1)[0].tolist() == [[2.0, 3.0]]
