"""Residual networks for small images."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wellposed.errors import require
from wellposed.models._base import image_of


@final
class ResNet(nn.Module):
    r"""Residual network of depth $6n + 2$ for images of about 28 to 32 pixels.

    A 3 x 3 convolution to 16 channels; three stages of n residual blocks with 16, 32 and 64
    channels, the second and third beginning with stride 2; the mean over all pixels; a linear
    classifier. Each convolution is followed by batch norm, so it has no bias.

    $$x \leftarrow \operatorname{relu}(S x + F(x; w))$$

    Args:
        shape: (channels, height, width) of one image, at least 8 x 8.
        classes: Number of outputs.
        depth: $6n + 2$ with $n \ge 1$: 8, 14, 20, 26, 32, ... Depth 20 has 0.27 million weights.
        width: Channels of the first stage; the others have twice and four times as many.
        shortcut: S where a stage changes the size. "identity" (option A of the paper, its choice
            for small images) takes every other pixel and fills up with channels of zeros;
            "projection" (option B) is a 1 x 1 convolution with batch norm.

    Raises:
        ArgumentError: If the depth is not $6n + 2$, the width below 1, the shortcut unknown, or
            inputs are not images of at least 8 x 8.

    References:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016, section 4.2,
        arXiv:1512.03385.
    """

    citation: ClassVar[str] = """\
@inproceedings{he2016deep,
  author = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title = {Deep residual learning for image recognition},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  pages = {770--778}, year = {2016}, note = {arXiv:1512.03385}
}"""

    def __init__(
        self,
        *,
        shape: Sequence[int],
        classes: int,
        depth: int = 20,
        width: int = 16,
        shortcut: Literal["identity", "projection"] = "identity",
    ) -> None:
        super().__init__()
        channels, _, _ = image_of(shape, classes, "ResNet", at_least=8)
        n, rest = divmod(depth - 2, 6)
        require(
            n >= 1 and rest == 0,
            f"ResNet needs a depth of 6n + 2, got depth={depth}; try {6 * max(n, 1) + 2}",
        )
        require(width >= 1, f"ResNet needs a width of at least 1, got width={width}")
        require(
            shortcut in {"identity", "projection"},
            f"ResNet knows the shortcuts identity and projection, got {shortcut!r}",
        )
        blocks: list[nn.Module] = []
        fan_in = width
        for stage in range(3):
            for block in range(n):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(_Block(fan_in, width << stage, stride, shortcut))
                fan_in = width << stage
        self.stem = nn.Sequential(_conv(channels, width), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(fan_in, classes)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        features: Tensor = self.blocks(self.stem(inputs))
        scores: Tensor = self.classifier(features.mean((2, 3)))
        return scores


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _conv(fan_in, fan_out, stride=stride),
            nn.BatchNorm2d(fan_out),
            nn.ReLU(),
            _conv(fan_out, fan_out),
            nn.BatchNorm2d(fan_out),
        )
        self.shortcut: nn.Module
        if fan_in == fan_out and stride == 1:
            self.shortcut = nn.Identity()
        elif shortcut == "projection":
            self.shortcut = nn.Sequential(
                nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out)
            )
        else:
            self.shortcut = _Subsample(fan_out - fan_in, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.relu(self.shortcut(inputs) + self.residual(inputs))


class _Subsample(nn.Module):
    """Every other pixel, with channels of zeros on both sides."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.before, self.after, self.stride = extra // 2, extra - extra // 2, stride

    def forward(self, inputs: Tensor) -> Tensor:
        pixels = inputs[:, :, :: self.stride, :: self.stride]
        return functional.pad(pixels, (0, 0, 0, 0, self.before, self.after))


def _conv(fan_in: int, fan_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
