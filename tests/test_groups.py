"""That tests which share a port, or a stack, don't run beside each other."""

import os

import pytest


@pytest.mark.xdist_group("this one")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs every test")
def test_tests_of_one_group_run_in_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist keeps together what it could write the group's name behind."""
    groups = {
        item.nodeid: f"@{mark.args[0]}"
        for item in request.session.items
        for mark in item.iter_markers("xdist_group")
    }
    assert [test for test, group in groups.items() if not test.endswith(group)] == []
