from .cohort import make_cohort as make_cohort
from .morphs import CONTROL as CONTROL
from .morphs import SINGLE_MORPHS as SINGLE_MORPHS
from .morphs import SYNDROMES as SYNDROMES
from .morphs import Morph as Morph
from .morphs import Syndrome as Syndrome
from .morphs import healthy_sd as healthy_sd
from .warping import morph as morph
