"""What other projects have no public way for: each private API of theirs behind one function.

A room for each project. Each function says why it is there; a test of its own in ``tests/compat``
names it when it goes.
"""
