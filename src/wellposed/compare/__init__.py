"""Several methods, several seeds, equal budgets: which is better, and how sure is that?"""

from wellposed.compare._design import Entry as Entry
from wellposed.compare._design import design as design
from wellposed.compare._outcome import Outcome as Outcome
from wellposed.compare._outcome import outcome as outcome
from wellposed.compare._race import Watcher as Watcher
from wellposed.compare._race import race as race
from wellposed.compare._verdict import Comparison as Comparison
from wellposed.compare._verdict import Pair as Pair
from wellposed.compare._verdict import Standing as Standing
from wellposed.compare._verdict import judge as judge
