from .fine import refine as refine
from .frame import outer_canthal_distance as outer_canthal_distance
from .gate import Check as Check
from .landmarker import Face as Face
from .landmarker import read_face as read_face
from .landmarker import read_faces as read_faces
from .pose import head_pose as head_pose
from .warp import Mesh as Mesh
