"""Files to pixels: what a file is, what decoding may cost, and processes for decoders that may crash."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
