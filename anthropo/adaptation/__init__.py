"""Photographs of one source brought to what those of another are like, and how far apart two sources are."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
