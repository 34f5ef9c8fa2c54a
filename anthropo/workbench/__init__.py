"""The workbench: a page, served on this machine, on which faces are measured and landmarks corrected."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
