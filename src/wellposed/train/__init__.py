"""The loop, as a generator; and `fit`, the loop with our defaults."""

from wellposed.train._checkpoint import Checkpoint as Checkpoint
from wellposed.train._checkpoint import load_checkpoint as load_checkpoint
from wellposed.train._checkpoint import save_checkpoint as save_checkpoint
from wellposed.train._evaluate import Evaluation as Evaluation
from wellposed.train._evaluate import evaluate as evaluate
from wellposed.train._fit import fit as fit
from wellposed.train._mlflow import MLflow as MLflow
from wellposed.train._observer import Observer as Observer
from wellposed.train._observer import Start as Start
from wellposed.train._plan import Plan as Plan
from wellposed.train._precision import Precision as Precision
from wellposed.train._precision import fastest_precision as fastest_precision
from wellposed.train._progress import ProgressBar as ProgressBar
from wellposed.train._progress import ProgressJson as ProgressJson
from wellposed.train._progress import ProgressLines as ProgressLines
from wellposed.train._progress import progress as progress
from wellposed.train._result import Result as Result
from wellposed.train._rng import rng_state as rng_state
from wellposed.train._rng import set_rng_state as set_rng_state
from wellposed.train._steps import Step as Step
from wellposed.train._steps import steps as steps
from wellposed.train._tensorboard import TensorBoard as TensorBoard
from wellposed.train._together import load_together as load_together
from wellposed.train._weights import load_weights as load_weights
