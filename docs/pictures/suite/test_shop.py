"""What the pictures show: six checks on three hosts, two of them worth a look."""

import time

import pytest

from pytest_bgcheck import background_check

backup = background_check("sleep 5; echo verified", timeout=6, host="ssh://db1")
raid_scrub = background_check("sleep 8; echo 0 mismatches", timeout=60, host="ssh://db1")
certificates = background_check(
    "sleep 3; echo shop.example.org: ok; echo api.example.org: expired >&2; exit 3",
    timeout=30,
    host="ssh://web1",
)
webapp = background_check("sleep 4; echo 200 OK", timeout=30, host="ssh://web1")
cache = background_check("sleep 2; echo hit rate 0.97", timeout=30, host="ssh://web2")
links = background_check("sleep 6; echo 1,204 links, none dead", timeout=30, host="ssh://web2")


@pytest.mark.parametrize("service", ["nginx", "redis", "postgres", "cron", "ssh", "chrony"])
def test_service(service):
    time.sleep(0.25)


@pytest.mark.bgcheck
def test_backup_is_verified(backup):
    assert "verified" in backup.stdout


@pytest.mark.bgcheck
def test_raid_is_clean(raid_scrub):
    assert "0 mismatches" in raid_scrub.stdout


@pytest.mark.bgcheck
def test_certificates(certificates):
    pass


@pytest.mark.bgcheck
def test_shop_answers(webapp, cache):
    assert "200 OK" in webapp.stdout


@pytest.mark.bgcheck
def test_links(links):
    pass
