"""docs/gradients.md: every example runs and prints what the page says."""

from __future__ import annotations

from tests import pages


def test_every_example_prints_what_the_page_says() -> None:
    assert pages.check_pycon("gradients.md") > 30
