from .published import Published as Published
from .published import published as published
from .published import schema as schema
