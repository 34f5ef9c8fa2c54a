"""Many photographs at once: by threads, by processes, or by whatever else is a `Runner`."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
