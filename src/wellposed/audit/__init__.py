"""What we know about a trained network, in findings that say what to do."""

from wellposed.audit._check import BUDGETS as BUDGETS
from wellposed.audit._check import Budget as Budget
from wellposed.audit._check import Check as Check
from wellposed.audit._check import require_budget as require_budget
from wellposed.audit._checks import CHECKS as CHECKS
from wellposed.audit._descent import Descent as Descent
from wellposed.audit._examine import Observer as Observer
from wellposed.audit._examine import Plan as Plan
from wellposed.audit._examine import examine as examine
from wellposed.audit._examine import plan as plan
from wellposed.audit._gap import gap as gap
from wellposed.audit._invariance import invariance as invariance
from wellposed.audit._invariances import blur as blur
from wellposed.audit._invariances import clutter as clutter
from wellposed.audit._invariances import compression as compression
from wellposed.audit._invariances import deformation as deformation
from wellposed.audit._invariances import illumination as illumination
from wellposed.audit._invariances import noise as noise
from wellposed.audit._invariances import occlusion as occlusion
from wellposed.audit._invariances import viewpoint as viewpoint
from wellposed.audit._read_weights import fitted_weights as fitted_weights
from wellposed.audit._read_weights import put_weights as put_weights
from wellposed.audit._read_weights import read_weights as read_weights
from wellposed.audit._slice import slice_ as slice_
from wellposed.audit._subject import Subject as Subject
from wellposed.audit._weights import weights as weights
