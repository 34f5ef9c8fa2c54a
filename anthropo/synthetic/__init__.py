"""Synthetic patients: one public-domain portrait, morphed by known amounts.

Every picture is scikit-image's astronaut (NASA, public domain) with a neutral mouth, given the shape
of a random person, a random pose, light, skin tone and backdrop, and, by its label, changes of chosen
measurements. Nobody in it exists, and the labels are invented: a cohort for trying the program out and
for tests whose answer is known, not for learning anything about people.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
