from .distance import proxy_distance as proxy_distance
from .methods import Affine as Affine
from .methods import Aligned as Aligned
from .methods import alignment_maps as alignment_maps
from .names import METHODS as METHODS
