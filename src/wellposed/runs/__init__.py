"""The run folder: the only place where training, comparison and report meet.

Only the standard library is imported here, so a run can be read on any machine.
"""

from wellposed.runs._atomic import atomic_write as atomic_write
from wellposed.runs._audit import FINDINGS as FINDINGS
from wellposed.runs._audit import Audit as Audit
from wellposed.runs._figure import Bars as Bars
from wellposed.runs._figure import Curves as Curves
from wellposed.runs._figure import Figure as Figure
from wellposed.runs._figure import Listing as Listing
from wellposed.runs._figure import Mark as Mark
from wellposed.runs._figure import Picture as Picture
from wellposed.runs._figure import Pictures as Pictures
from wellposed.runs._figure import Series as Series
from wellposed.runs._figure import Surface as Surface
from wellposed.runs._finding import Finding as Finding
from wellposed.runs._finding import Threshold as Threshold
from wellposed.runs._finding import Verdict as Verdict
from wellposed.runs._folder import FORMAT as FORMAT
from wellposed.runs._folder import RunFolder as RunFolder
from wellposed.runs._folder import Status as Status
from wellposed.runs._folder import fresh_path as fresh_path
from wellposed.runs._lock import exclusive as exclusive
from wellposed.runs._log import Log as Log
from wellposed.runs._number import interval_words as interval_words
from wellposed.runs._number import number_words as number_words
from wellposed.runs._provenance import provenance as provenance
