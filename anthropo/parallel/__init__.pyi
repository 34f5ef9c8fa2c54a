from .cluster import Cluster as Cluster
from .places import ClusterError as ClusterError
from .processes import Processes as Processes
from .runner import Lost as Lost
from .runner import Runner as Runner
from .runner import choose as choose
from .threads import Threads as Threads
