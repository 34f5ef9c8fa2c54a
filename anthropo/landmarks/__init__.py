"""Landmark models: the training of networks that look at parts of an upright face."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
