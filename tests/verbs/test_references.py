"""What only says what is wished for is refused wherever a lock is asked for, by every verb, and with the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sanctity.errors import DocumentError
from sanctity.verbs.references import locks_named, read_references
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from pathlib import Path

WISHES = {
    "pyproject.toml": '[project]\nname = "churn"\ndependencies = ["six==1.17.0"]\n',
    "environment.yml": "dependencies:\n- python ==3.11.4\n",
}


@pytest.mark.parametrize(("name", "text"), WISHES.items(), ids=list(WISHES))
def test_a_wish_is_no_lock(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    world = World(cwd=str(tmp_path), environ={}, clock=lambda: 0.0)
    for refused in (
        lambda: locks_named(str(tmp_path / name), world),
        lambda: read_references(str(tmp_path / name), str(tmp_path), "", world),
    ):
        with pytest.raises(DocumentError) as caught:
            refused()
        assert caught.value.code in {"lock-not-pinned", "rebuild-unsupported"}
        assert caught.value.hint
