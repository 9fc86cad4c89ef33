"""The run folder: the only place where training, comparison and report meet.

Only the standard library is imported here, so a run can be read on any machine.
"""

from wellposed.runs._atomic import atomic_write as atomic_write
from wellposed.runs._folder import FORMAT as FORMAT
from wellposed.runs._folder import RunFolder as RunFolder
from wellposed.runs._folder import Status as Status
from wellposed.runs._folder import fresh_path as fresh_path
from wellposed.runs._lock import exclusive as exclusive
from wellposed.runs._log import Log as Log
from wellposed.runs._provenance import provenance as provenance
