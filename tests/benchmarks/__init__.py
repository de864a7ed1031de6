"""The benchmarks: pytest-bgcheck beside what people use instead, in one run on one computer.

``python -m benchmarks`` (in ``tests``) or ``tox -e bench``. No test collects them. Every bench
measures its contenders in turn, several times, so that whatever else the computer does meets all
of them, and reports medians with their spread. May not import pytest_bgcheck: it is measured from
outside, as a user runs it.
"""
