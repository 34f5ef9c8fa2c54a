"""What the ways to bring sources together are called: apart, since every command's options name them."""

#: What `align` can do.
METHODS = ("none", "standardise", "coral", "subspace", "ot", "combat")
#: Those that cannot bring sources to their own mean, without a target.
NEED_TARGET = ("coral", "subspace", "ot")
