"""One target: calls to it, its jobs, and their handles."""
