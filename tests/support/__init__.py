"""What the tests need beside pytest: machines, small suites, scripted targets."""
