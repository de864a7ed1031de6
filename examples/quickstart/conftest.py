import os

from pytest_bgcheck import background_check

# Both start on the target before the first test, side by side.
webapp = background_check("sleep 2; echo 200 OK", timeout=30)
backup = background_check(
    ["/bin/sh", "-c", "sleep 2; echo verifying; exit $RC"],
    env={"RC": os.environ.get("BACKUP_RC", "0")},
    timeout=30,
)
