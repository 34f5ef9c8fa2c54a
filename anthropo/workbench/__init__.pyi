from .server import Workbench as Workbench
from .server import serve as serve
