"""Scenarios of pytest-bdd that await, and whose steps request a check.

testinfra gives a test a host only where that, or a check, is its own parameter.
"""

import pytest
from pytest_bdd import scenario, then

from pytest_bgcheck import background_check

with open("fine.feature", "w") as file:
    file.write("Feature: checks\n  Scenario: Fine\n    Then it is fine\n")

good = background_check("sleep 0.3; echo fine", timeout=60)
bad = background_check("exit 3", timeout=60)


@pytest.mark.bgcheck("good")
@scenario("fine.feature", "Fine")
def test_scenario_passes(host):
    pass


@pytest.mark.bgcheck("bad")
@scenario("fine.feature", "Fine")
def test_scenario_check_fails(host):
    pass


@then("it is fine")
def it_is_fine(good):
    assert good.stdout == "fine\n"
