"""Many people together: composites, maps, and what distinguishes the people of a label."""
