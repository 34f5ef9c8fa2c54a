from .decoder import Decoded as Decoded
from .decoder import decode as decode
from .limits import Limits as Limits
