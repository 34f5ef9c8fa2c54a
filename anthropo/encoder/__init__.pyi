from .encoders import Encoder as Encoder
from .encoders import load_encoder as load_encoder
from .regions import Region as Region
from .regions import crops as crops
