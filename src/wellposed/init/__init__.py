"""w0: where the weights start. Every public class here can be named in a recipe."""

from wellposed.init._base import Initializer as Initializer
from wellposed.init._default import Default as Default
from wellposed.init._glorot import Glorot as Glorot
from wellposed.init._he import He as He
from wellposed.init._orthogonal import Orthogonal as Orthogonal
from wellposed.init._whiten import Whiten as Whiten
