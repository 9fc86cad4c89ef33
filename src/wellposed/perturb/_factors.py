"""The factors of the lectures, and what varies each of them."""

from collections.abc import Mapping
from types import MappingProxyType

from wellposed.perturb._base import Perturbation
from wellposed.perturb._blur import Blur
from wellposed.perturb._brightness import Brightness
from wellposed.perturb._clutter import Clutter
from wellposed.perturb._compression import Compression
from wellposed.perturb._contrast import Contrast
from wellposed.perturb._elastic import Elastic
from wellposed.perturb._impulse_noise import ImpulseNoise
from wellposed.perturb._lighting import Lighting
from wellposed.perturb._motion_blur import MotionBlur
from wellposed.perturb._noise import Noise
from wellposed.perturb._occlusion import Occlusion
from wellposed.perturb._rotation import Rotation
from wellposed.perturb._scale import Scale
from wellposed.perturb._shift import Shift

_ALL: tuple[type[Perturbation], ...] = (
    Shift,
    Rotation,
    Scale,
    Elastic,
    Brightness,
    Contrast,
    Lighting,
    Occlusion,
    Clutter,
    Noise,
    ImpulseNoise,
    Blur,
    MotionBlur,
    Compression,
)


def factors() -> Mapping[str, tuple[type[Perturbation], ...]]:
    """What varies each factor, by the factor's name, in the order of the lectures."""
    names = dict.fromkeys(kind.factor for kind in _ALL)
    return MappingProxyType(
        {name: tuple(kind for kind in _ALL if kind.factor == name) for name in names}
    )
