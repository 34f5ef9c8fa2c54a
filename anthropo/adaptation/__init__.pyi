from .distance import proxy_distance as proxy_distance
from .methods import Affine as Affine
from .methods import Aligned as Aligned
from .methods import align as align
from .names import METHODS as METHODS
