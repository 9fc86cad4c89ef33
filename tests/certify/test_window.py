import torch

from wellposed.certify._window import Window, channels_first, channels_last

SHAPE = (2, 5, 4)  # channels, height, width


def window(seed, h=3, w=2, top=(-1, 2, 3), left=(0, 3, -1)):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn((3, h, w, 2), generator=generator, dtype=torch.float64)
    return Window(values, torch.tensor([top, left]).T)


def spread(part):
    """The whole image, place by place."""
    channels, height, width = SHAPE
    image = torch.zeros((3, height, width, channels), dtype=torch.float64)
    for row, (top, left) in enumerate(part.corner.tolist()):
        for y in range(part.values.shape[1]):
            for x in range(part.values.shape[2]):
                if 0 <= top + y < height and 0 <= left + x < width:
                    image[row, top + y, left + x] += part.values[row, y, x]
    return image


def test_whole_puts_each_coefficient_at_its_place():
    part = window(0)
    assert torch.equal(part.whole(SHAPE).values, spread(part))
    assert part.whole(SHAPE).whole(SHAPE).corner is None


def test_beyond_the_border_is_zero():
    part = window(1).without_padding(SHAPE)
    assert torch.equal(part.whole(SHAPE).values, spread(window(1)))
    assert (part.values[0, 0] == 0).all()  # the row above the image
    assert (part.values[2, 2] == 0).all()  # the row below it
    whole = part.whole(SHAPE)
    assert whole.without_padding(SHAPE) is whole


def test_sums_of_windows_at_a_constant_distance_stay_windows():
    first = window(2)
    second = window(3, h=4, w=4, top=(-2, 1, 2), left=(-1, 2, -2))
    total = first.plus(second, SHAPE)
    assert total.corner is not None
    torch.testing.assert_close(total.whole(SHAPE).values, spread(first) + spread(second))
    torch.testing.assert_close(second.plus(first, SHAPE).values, total.values)


def test_other_sums_become_whole():
    first, second = window(4), window(5, top=(0, 0, 0), left=(1, 0, 2))
    total = first.plus(second, SHAPE)
    assert total.corner is None
    torch.testing.assert_close(total.values, spread(first) + spread(second))
    again = total.plus(first, SHAPE)
    torch.testing.assert_close(again.values, 2 * spread(first) + spread(second))


def test_channels_move_and_come_back():
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert channels_last(image).shape == (1, 3, 4, 2)
    assert torch.equal(channels_first(channels_last(image)), image)
    vector = torch.ones(2, 3)
    assert channels_last(vector) is vector
    assert channels_first(vector) is vector
