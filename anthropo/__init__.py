"""anthropo: measures a face photograph the way a clinical geneticist reads it, and says why.

Research use only; not a medical device.
"""

import lazy_loader as _lazy

from anthropo._version import __version__ as __version__

# the names that __init__.pyi lists, each imported when it is first used
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
