"""Why a model says what it says: exact contributions, heatmaps, what would change the decision."""
