"""The command ``sanctity``, and ``python -m sanctity``: the command line, where what that needs is installed."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]

_FAILED = 3
_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line on the process's own arguments.

    A sanctity that was installed for `import sanctity` alone has no command line, and says so: its end is no verdict.
    """
    try:
        from sanctity.cli import main as run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "sanctity"}:
            raise
        sys.stderr.write(
            f"sanctity: the command line needs {missing}, which is not installed beside it\n"
            f"  {sys.prefix} has sanctity without what it needs (pip install --no-deps), for programs that import it;\n"
            "  install the command outside of the environment: pipx install, or uv tool install\n"
        )
        raise SystemExit(_FAILED) from None
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    run()


if __name__ == "__main__":
    main()
