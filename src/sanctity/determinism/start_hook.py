"""What ``sanctity run --seed N --inject`` puts before a program: the call, made in every Python that the program starts.

`run` copies this file as ``sitecustomize.py`` into a zip of its own, with the room beside it under ``room/``, and names that zip in
``PYTHONPATH``. It is imported by `site`, so not under ``-I``, ``-E`` or ``-S``. It takes itself out of ``sys.path``, lets the
environment's own ``sitecustomize`` run as if nothing stood before it, and then makes the call. Where that fails the process ends
with 125: one that goes on without its seed would look like one that has it. It may meet any Python, so it needs nothing newer
than 3.7. Other hooks take `chain` from here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["chain", "start"]

_NAME = "sitecustomize"
_REFUSED = 125


def start(here: str) -> None:
    """Run the environment's own ``sitecustomize``, then seed; *here* is the zip that this module was taken from."""
    try:
        chain(here)
    finally:
        _seed(here)


def chain(here: str) -> None:
    """Import the ``sitecustomize`` that would have been found without *here*; what it raises is raised, as `site` expects."""
    sys.path[:] = [entry for entry in sys.path if entry != here]
    mine = sys.modules.pop(_NAME, None)
    try:
        __import__(_NAME)
    except ImportError as error:
        if error.name != _NAME:
            raise
    finally:
        if mine is not None:
            # The import that is under way takes the module from there when it is done.
            sys.modules.setdefault(_NAME, mine)


def _seed(here: str) -> None:
    import os

    if not os.environ.get("SANCTITY_SEED"):
        _say("sanctity: not seeded: SANCTITY_SEED was taken out of the environment, and the injected call has no other seed\n")
        return
    if sys.version_info < (3, 11):  # noqa: UP036 - it is imported by whatever Python a program starts
        _say("sanctity: not seeded: the injected call needs Python 3.11, and this is " + sys.version.partition(" ")[0] + "\n")
        return
    try:
        _room(here)
        from sanctity import determinism

        determinism.INJECTED = "sha256:" + os.path.basename(here).partition(".")[0]
        from sanctity.determinism.setting import set_global_determinism

        set_global_determinism()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the program would go on without its seed
        _refuse(f"{type(error).__name__}: {error}")


def _room(here: str) -> None:
    """Make ``sanctity`` importable: the environment's own where it has one, else the copy."""
    from importlib.util import find_spec

    if find_spec("sanctity") is not None:
        return
    sys.path.append(here + "/room")
    try:
        import sanctity  # noqa: F401 - from now on its parts are found by its own path
    finally:
        sys.path.remove(here + "/room")


def _refuse(reason: str) -> NoReturn:
    import os

    _say("error: inject-failed\n  " + reason + "\nhint: leave --inject out, and make the call in the program\n")
    os._exit(_REFUSED)


def _say(text: str) -> None:
    import os

    try:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        return


if __name__ == _NAME:
    start(__file__.rpartition("/")[0])
