"""What each command does, in Python: typed requests in, typed results out."""
