from .changes import Counterfactual as Counterfactual
from .contributions import Contribution as Contribution
from .contributions import Explained as Explained
from .contributions import Explanation as Explanation
from .maps import FaceHeat as FaceHeat
from .maps import Heatmap as Heatmap
