"""All checks, in the order in which they run: the cheap before the dear.

A new check is one file that ends with CHECK, one line here, and one test file.
"""

from wellposed.audit._adjoint import CHECK as ADJOINT
from wellposed.audit._barrier import CHECK as BARRIER
from wellposed.audit._baseline import CHECK as BASELINE
from wellposed.audit._batch_order import CHECK as BATCH_ORDER
from wellposed.audit._calibration import CHECK as CALIBRATION
from wellposed.audit._check import Check
from wellposed.audit._collapse import CHECK as COLLAPSE
from wellposed.audit._coverage import CHECK as COVERAGE
from wellposed.audit._dead_units import CHECK as DEAD_UNITS
from wellposed.audit._determinism import CHECK as DETERMINISM
from wellposed.audit._divergence import CHECK as DIVERGENCE
from wellposed.audit._duplicates import CHECK as DUPLICATES
from wellposed.audit._gap import CHECK as GAP
from wellposed.audit._gradcheck import CHECK as GRADCHECK
from wellposed.audit._gradient_spikes import CHECK as GRADIENT_SPIKES
from wellposed.audit._inputs import CHECK as INPUTS
from wellposed.audit._invariances import CHECKS as INVARIANCES
from wellposed.audit._label_noise import CHECK as LABEL_NOISE
from wellposed.audit._leak import CHECK as LEAK
from wellposed.audit._lr_range import CHECK as LR_RANGE
from wellposed.audit._margins import CHECK as MARGINS
from wellposed.audit._memorization import CHECK as MEMORIZATION
from wellposed.audit._modes import CHECK as MODES
from wellposed.audit._noise_scale import CHECK as NOISE_SCALE
from wellposed.audit._overfitting import CHECK as OVERFITTING
from wellposed.audit._pac_bayes import CHECK as PAC_BAYES
from wellposed.audit._path import CHECK as PATH
from wellposed.audit._plane import CHECK as PLANE
from wellposed.audit._plateau import CHECK as PLATEAU
from wellposed.audit._relaxed_slice import CHECK as RELAXED_SLICE
from wellposed.audit._robustness import CHECK as ROBUSTNESS
from wellposed.audit._saddle import CHECK as SADDLE
from wellposed.audit._selective import CHECK as SELECTIVE
from wellposed.audit._sharpness import CHECK as SHARPNESS
from wellposed.audit._signal import CHECK as SIGNAL
from wellposed.audit._slice import CHECK as SLICE
from wellposed.audit._spectral_margin import CHECK as SPECTRAL_MARGIN
from wellposed.audit._spectrum import CHECK as SPECTRUM
from wellposed.audit._taylor import CHECK as TAYLOR
from wellposed.audit._throughput import CHECK as THROUGHPUT
from wellposed.audit._weights import CHECK as WEIGHTS

CHECKS: tuple[Check, ...] = (
    WEIGHTS,
    SIGNAL,
    COLLAPSE,
    DEAD_UNITS,
    TAYLOR,
    ADJOINT,
    GRADCHECK,
    DETERMINISM,
    BATCH_ORDER,
    MODES,
    COVERAGE,
    INPUTS,
    DUPLICATES,
    LABEL_NOISE,
    GAP,
    BASELINE,
    LEAK,
    MARGINS,
    SPECTRAL_MARGIN,
    MEMORIZATION,
    PAC_BAYES,
    CALIBRATION,
    SELECTIVE,
    *INVARIANCES,
    ROBUSTNESS,
    SHARPNESS,
    SPECTRUM,
    SADDLE,
    NOISE_SCALE,
    SLICE,
    PLANE,
    RELAXED_SLICE,
    PATH,
    BARRIER,
    DIVERGENCE,
    PLATEAU,
    LR_RANGE,
    GRADIENT_SPIKES,
    OVERFITTING,
    THROUGHPUT,
)
