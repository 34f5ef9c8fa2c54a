"""Photo to face: 68 landmarks with their uncertainty, head pose, and the gate that judges the photo."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
