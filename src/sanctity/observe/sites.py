"""The folders beside an environment's own that Python imports packages from: the base interpreter's, and the user's own.

Source: the `site` module (``venv``, ``check_enableusersite``, ``getuserbase``) and PEP 370. A virtual environment sees neither,
unless its pyvenv.cfg says ``include-system-site-packages = true``; then its own packages come first, the user's next, the base's
last. Any other prefix sees the user's, before its own. Which user is meant is an argument: it is not the environment's to say.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import NoEnvironmentError, ObservationError
from sanctity.model.drift import Depth
from sanctity.model.environment import HookKind, Layout, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.environment import Environment, Interpreter
    from sanctity.observe.interpreter import Configuration
    from sanctity.observe.view import View

    #: Looks at a prefix, or at a folder in the guise of one.
    Look = Callable[..., tuple[Environment, Configuration | None]]

__all__ = ["Guise", "find_user_base", "layout_imports_more", "observe_other_sites"]

#: The home of the user that programs in an image run as, unless told otherwise.
_HOME_IN_IMAGES: Final = "/root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guise:
    """What a folder of packages is taken for: where things are in it, and whose *interpreter* imports them.

    *scripts* is the absolute folder that this interpreter's own scripts lie in, every link resolved.
    """

    layout: Layout
    interpreter: Interpreter
    scripts: str


def find_user_base(root: str = "") -> str:
    """The folder of the own packages of the user that this process runs as, by the password database; empty where there is none.

    No variable is asked (``HOME``, ``PYTHONUSERBASE``), so a verdict does not depend on the shell; who starts a program judges
    those. Below an image's *root* it is root's own.
    """
    if root:
        return f"{_HOME_IN_IMAGES}/.local"
    try:
        import pwd

        if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
            return ""  # Python looks at no user's packages then
        home = pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, AttributeError, KeyError):  # not on this platform, or a user of no name
        return ""
    return f"{home.rstrip('/')}/.local" if home.startswith("/") else ""


def layout_imports_more(layout: Layout, configuration: Configuration | None) -> bool:
    """Whether an environment imports from the user's own packages at least."""
    return configuration.system_site if configuration is not None else not layout.virtual


def observe_other_sites(
    environment: Environment, configuration: Configuration | None, *, view: View, look: Look, depth: Depth, user_base: str
) -> Environment:
    """*environment* with the packages that it imports from elsewhere.

    The digest of its `HookKind.SYSTEM_SITE` becomes that of all that can be imported so from the base interpreter's packages. What
    can not be read there is a problem of *environment*.
    """
    problems: list[Problem] = []

    def look_there(prefix: str, guise: Guise | None = None) -> Environment | None:
        try:
            return look(prefix, guise)[0]
        except NoEnvironmentError:
            return None
        except ObservationError as error:
            problems.append(Problem("unreadable", prefix, error.message))
            return None

    system = user = None
    interpreter = environment.interpreter
    if configuration is not None and interpreter.base and view.real(interpreter.base) != view.real(environment.prefix):
        system = look_there(interpreter.base)
    hooks = environment.hooks
    if system is not None and depth is not Depth.VERSION:
        from sanctity.compare.records import fingerprint_of

        seen = fingerprint_of(system, frozenset())
        if seen is None:
            reason = "a part of the base interpreter's packages could not be read"
            problems.append(Problem("unreadable", interpreter.base, reason))
        else:
            digest = bytes.fromhex(seen.digest.value)
            hooks = tuple(hook._replace(digest=digest) if hook.kind is HookKind.SYSTEM_SITE else hook for hook in hooks)
    site = _user_site(environment)
    if user_base and site and view.is_folder(f"{user_base}/{site}"):
        layout = Layout(site=(site,), scripts="bin", version=environment.layout.version, virtual=False)
        # What a user installs is installed with the base's interpreter, not with a virtual environment's.
        starts = interpreter.base if environment.layout.virtual else environment.prefix
        scripts = view.real(f"{starts}/{environment.layout.scripts}")
        user = look_there(user_base, Guise(layout=layout, interpreter=interpreter, scripts=scripts))
    return replace(
        environment,
        hooks=hooks,
        problems=tuple(sorted({*environment.problems, *problems})),
        system_site=system,
        user_site=user,
        # That there is no such folder is what the look rests on too.
        asked=() if view.root else tuple(sorted({*environment.asked, *view.asked})),
    )


def _user_site(environment: Environment) -> str:
    """The folder of a user's packages for this interpreter, relative to the user's base."""
    version = environment.layout.version
    if not version:
        return ""
    name = "pypy" if environment.interpreter.implementation == "pypy" else "python"
    threaded = "t" if environment.interpreter.abi.endswith("t") else ""
    return f"lib/{name}{version}{threaded}/site-packages"
