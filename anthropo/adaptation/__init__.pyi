from .distance import proxy_distance as proxy_distance
from .methods import METHODS as METHODS
from .methods import Affine as Affine
from .methods import Aligned as Aligned
from .methods import align as align
