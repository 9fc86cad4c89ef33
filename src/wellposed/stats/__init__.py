"""Small-sample statistics, on numpy arrays."""

from wellposed.stats._binary_kl import binary_kl as binary_kl
from wellposed.stats._binary_kl import binary_kl_upper as binary_kl_upper
from wellposed.stats._binary_kl import pac_bayes as pac_bayes
from wellposed.stats._mean import mean_interval as mean_interval
from wellposed.stats._mean import paired_difference as paired_difference
from wellposed.stats._newcombe import newcombe as newcombe
from wellposed.stats._paired_shares import paired_shares as paired_shares
from wellposed.stats._quantile import quantile_interval as quantile_interval
from wellposed.stats._share import clopper_pearson as clopper_pearson
from wellposed.stats._share import wilson as wilson
from wellposed.stats._tango import tango as tango
