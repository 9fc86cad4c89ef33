"""x -> x + delta: seeded changes of images that leave alone what they show, and the worst ones."""

from wellposed.perturb._ball import Ball as Ball
from wellposed.perturb._base import Perturbation as Perturbation
from wellposed.perturb._blur import Blur as Blur
from wellposed.perturb._brightness import Brightness as Brightness
from wellposed.perturb._clutter import Clutter as Clutter
from wellposed.perturb._compression import Compression as Compression
from wellposed.perturb._contrast import Contrast as Contrast
from wellposed.perturb._elastic import Elastic as Elastic
from wellposed.perturb._factors import factors as factors
from wellposed.perturb._impulse_noise import ImpulseNoise as ImpulseNoise
from wellposed.perturb._l1 import L1 as L1
from wellposed.perturb._l2 import L2 as L2
from wellposed.perturb._lighting import Lighting as Lighting
from wellposed.perturb._linf import Linf as Linf
from wellposed.perturb._motion_blur import MotionBlur as MotionBlur
from wellposed.perturb._noise import Noise as Noise
from wellposed.perturb._occlusion import Occlusion as Occlusion
from wellposed.perturb._rotation import Rotation as Rotation
from wellposed.perturb._scale import Scale as Scale
from wellposed.perturb._shift import Shift as Shift
