from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guard.guarded import Guarded, build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """What each test gets a copy of."""
    return build(tmp_path_factory.mktemp("guard") / "project")


@pytest.fixture
def guarded(template: Guarded, tmp_path: Path) -> Guarded:
    """A sealed environment of the test's own."""
    return template.copy(tmp_path / "project")
