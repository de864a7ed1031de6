"""Runs each test in a forked child, as pytest-forked and other boxed runs do."""

# As pytest-forked does it, which does not run with each pytest. At the fork a thread holds what
# the plugin's own may hold: such locks are never released in the child.
BOXED = """
import os, sys, tempfile, threading
from _pytest.runner import runtestprotocol
from pytest_bgcheck.run import SESSION
from pytest_bgcheck.startup import WHOLE_RUN

def pytest_runtest_protocol(item, nextitem):
    if "alone" in item.keywords:
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    session = item.config.stash[SESSION]
    whole_run = item.config.stash.get(WHOLE_RUN, None)
    locks = [session._lock, session.runner.records.changed] if session else []
    locks += [whole_run.ledger._lock] if whole_run else []
    held, done = threading.Event(), threading.Event()
    def hold():
        for lock in locks: lock.acquire()
        held.set()
        done.wait()
        for lock in locks: lock.release()
    threading.Thread(target=hold).start()
    held.wait()
    with tempfile.TemporaryFile() as told:
        pid = os.fork()
        if pid == 0:
            try:
                import json
                reports = runtestprotocol(item, log=False)
                told.write(json.dumps([
                    hook.pytest_report_to_serializable(config=item.config, report=report)
                    for report in reports
                ]).encode())
                told.flush()
            finally:
                os._exit(0)
        done.set()
        os.waitpid(pid, 0)
        told.seek(0)
        import json
        for data in json.loads(told.read()):
            hook.pytest_runtest_logreport(
                report=hook.pytest_report_from_serializable(config=item.config, data=data))
    item.session._setupstate.teardown_exact(nextitem)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True

@pytest.fixture(scope="session")
def started(bgcheck):
    return bgcheck.start("echo started >>$COUNT; sleep 0.3; exit 5", name="started")

@pytest.fixture
def adds(request):
    request.node.add_marker(pytest.mark.bgcheck("bad"))
    request.node.add_marker(pytest.mark.xfail)
"""

INI = """
[pytest]
markers = alone
filterwarnings = ignore:This process:DeprecationWarning
"""
