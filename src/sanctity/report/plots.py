"""Pictures by matplotlib, as SVG and PNG: the same figure gives the same bytes, in light and in dark, and says what it shows.

matplotlib is an extra (``plots``) and imported where something is drawn. No user's configuration of it takes part, and no
window system: figures are made without pyplot. An SVG carries a title and a description for who can not see it, its letters are
text and no outlines, and its colours follow the reader's scheme: what is drawn in one of `DARK` is told how to look in the dark.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any, Final

from sanctity.errors import SanctityError
from sanctity.report.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["DARK", "FAINT", "INK", "PAPER", "QUIET", "SERIES", "drawing", "not_installed", "png_of", "svg_of"]

#: Colours of what is no data, and what each is in the dark.
PAPER: Final = "#ffffff"
INK: Final = "#1f2328"
QUIET: Final = "#59636e"
FAINT: Final = "#d1d9e0"
DARK: Final[Mapping[str, str]] = {PAPER: "#0d1117", INK: "#f0f6fc", QUIET: "#9198a1", FAINT: "#3d444d"}
#: Colours of data, told apart also by who sees no red or no green, and seen on both papers.
SERIES: Final = ("#3f7fc1", "#e0833a", "#2f9e8f", "#b85c9e", "#c2a32e", "#7a74c9", "#d1605e", "#6a9f4b")

_FONTS: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
_DPI: Final = 144


def not_installed() -> SanctityError:
    """The error that there is no matplotlib, for who looks before it is needed."""
    hint = (
        "matplotlib belongs to the environment that sanctity is installed in: `pip install '.[plots]'` in a clone, "
        "`pipx inject sanctity matplotlib`, or `uv tool install --with matplotlib .`"
    )
    return SanctityError("plots-not-installed", "matplotlib draws the pictures, and it is not here", hint=hint)


@contextlib.contextmanager
def drawing() -> Iterator[Any]:
    """The module ``matplotlib.figure``, set to its own defaults for as long as a figure is made and written.

    Raises:
        SanctityError: ``plots-not-installed``.
    """
    try:
        import matplotlib as mpl
        from matplotlib import figure
    except ImportError as error:
        raise not_installed() from error
    with mpl.rc_context(), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box, and nothing to tell a user of a command.
        warnings.simplefilter("ignore")
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "sanctity", "svg.fonttype": "none", "text.parse_math": False})
        yield figure


def svg_of(figure: Any, *, title: str, description: str) -> str:
    """*figure* as the text of an SVG; *title* and *description* are for who can not see it."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, facecolor=PAPER)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", stream.getvalue(), count=1, flags=re.DOTALL)
    start = text.index("<svg")
    end = text.index(">", start)
    tag = re.sub(r'\s(?:width|height)="[^"]*"', "", text[start:end])
    dark = "".join(
        f'[style*="{what}: {light}"]{{{what}:{there}!important}}' for light, there in DARK.items() for what in ("fill", "stroke")
    )
    style = f"text{{font-family:{_FONTS}!important}}@media (prefers-color-scheme:dark){{{dark}}}"
    head = (
        f'{tag} role="img" aria-labelledby="cone-title cone-description">\n'
        f' <title id="cone-title">{escape(plain(title))}</title>\n'
        f' <desc id="cone-description">{escape(plain(description))}</desc>\n'
        f" <style>{style}</style>"
    )
    return head + text[end + 1 :].rstrip() + "\n"


def png_of(figure: Any) -> bytes:
    """*figure* as a PNG, on white."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None}, facecolor=PAPER)
    return stream.getvalue()
