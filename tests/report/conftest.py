"""What the tests of the page share."""

from collections.abc import Iterator

import pytest
from support import browser
from support.browser import Browser
from support.machines import require


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require(browser.found() is not None, "chromium", "apt-get install chromium")
    it = Browser(tmp_path_factory.mktemp("profile"))
    yield it
    it.close()
