"""Learning from labelled photographs: cohorts, features, classifiers, and how good they are."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
