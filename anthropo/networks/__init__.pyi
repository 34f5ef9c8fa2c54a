from .encoder import NetworkEncoder as NetworkEncoder
from .encoder import network_encoder as network_encoder
from .network import Network as Network
from .recipes import Recipe as Recipe
from .recipes import load_recipe as load_recipe
