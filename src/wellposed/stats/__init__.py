"""Small-sample statistics, on numpy arrays."""

from wellposed.stats._mean import mean_interval as mean_interval
from wellposed.stats._mean import paired_difference as paired_difference
from wellposed.stats._paired_shares import paired_shares as paired_shares
from wellposed.stats._share import clopper_pearson as clopper_pearson
from wellposed.stats._share import wilson as wilson
