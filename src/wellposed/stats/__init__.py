"""Small-sample statistics, on numpy arrays."""

from wellposed.stats._binary_kl import binary_kl as binary_kl
from wellposed.stats._binary_kl import binary_kl_upper as binary_kl_upper
from wellposed.stats._binary_kl import pac_bayes as pac_bayes
from wellposed.stats._calibration import Calibration as Calibration
from wellposed.stats._calibration import calibration as calibration
from wellposed.stats._calibration import expected_calibration_error as expected_calibration_error
from wellposed.stats._calibration_null import Null as Null
from wellposed.stats._calibration_null import calibration_null as calibration_null
from wellposed.stats._guaranteed_risk import Selection as Selection
from wellposed.stats._guaranteed_risk import guaranteed_selection as guaranteed_selection
from wellposed.stats._guaranteed_risk import guaranteed_selections as guaranteed_selections
from wellposed.stats._mean import mean_interval as mean_interval
from wellposed.stats._mean import paired_difference as paired_difference
from wellposed.stats._newcombe import newcombe as newcombe
from wellposed.stats._paired_shares import paired_shares as paired_shares
from wellposed.stats._quantile import quantile_interval as quantile_interval
from wellposed.stats._risk_coverage import RiskCoverage as RiskCoverage
from wellposed.stats._risk_coverage import risk_coverage as risk_coverage
from wellposed.stats._share import clopper_pearson as clopper_pearson
from wellposed.stats._share import wilson as wilson
from wellposed.stats._tango import tango as tango
from wellposed.stats._temperature import Temperature as Temperature
from wellposed.stats._temperature import brier as brier
from wellposed.stats._temperature import negative_log_likelihood as negative_log_likelihood
from wellposed.stats._temperature import temperature as temperature
from wellposed.stats._welch import welch_difference as welch_difference
