"""What a run builds: templates found, read and named; who would collide with whom."""
