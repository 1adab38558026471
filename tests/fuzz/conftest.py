"""How many inputs the fuzz targets try."""

import pytest

from tests.fuzz import budget


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "fuzz" in item.path.parts]
    budget.share["of"] = max(1, len(ours))
    for item in ours:
        item.add_marker(pytest.mark.slow)
    if budget.SECONDS:
        for item in ours:
            item.add_marker(pytest.mark.timeout(60 + 2 * budget.SECONDS / len(ours)))
