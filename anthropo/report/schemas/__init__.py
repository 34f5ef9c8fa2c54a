"""JSON Schemas (draft 2020-12) of every JSON file that anthropo writes, as files and as dictionaries."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
