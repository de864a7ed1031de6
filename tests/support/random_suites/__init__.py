"""Random suites: how they are drawn, a model of what must come of them, and their files."""
