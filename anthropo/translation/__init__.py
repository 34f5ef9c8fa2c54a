"""Translation of faces from one domain of photographs to another, with landmarks that stay: a CycleGAN."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
