"""The cone as a picture: a loose file widens with every release, and its lock stays a tube.

Time runs to the right. Each band is a package, and as thick as the moves it has made so far (`model.timeline`): a file that came to
one thing at every date is a line, and a release that was ever the answer widens it for good. The straight line in the middle is the
first answer; bands that moved most lie next to it, on the side that has less, and those without a name of their own outside.
The mouth on the right is the last date, where each band is named. What a lock locks is drawn under it, over the same time.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sanctity.model.timeline import day_of
from sanctity.report.cone import facts, outages
from sanctity.report.plots import FAINT, INK, PAPER, QUIET, SERIES, drawing, png_of, svg_of
from sanctity.report.words import count, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanctity.model.timeline import Cone, Strand

__all__ = ["cone_png", "cone_svg", "cone_words"]

#: How many packages have a band of their own.
#: So many letters of what is said of a band fit beside the picture at their full size.
_LETTERS: Final = 31
_MOST: Final = 8
#: How many dates are drawn at most; more would lie on each other.
_MOST_POINTS: Final = 300
_REST: Final = "#8b949e"
#: The least that the picture's height stands for, so that one change does not look like a hundred.
_LEAST: Final = 8.0


class _Shape(NamedTuple):
    """A size of the picture, in inches and points."""

    width: float
    height: float
    left: float
    right: float
    text: float
    narrow: bool
    titled: bool = True


_WIDE: Final = _Shape(11.0, 6.4, 0.3, 2.75, 10.5, narrow=False)
_NARROW: Final = _Shape(4.6, 5.5, 0.2, 1.5, 9.0, narrow=True)


#: How high the marks of dates without a resolution lie, of the picture's height.
_FOOT: Final = 0.1
#: The inches above the cone where there is no title.
_BARE: Final = 0.25


class _Band(NamedTuple):
    """What one band shows: its *name* (without one no label), what stands beside it, its colour, and its thickness at each date."""

    name: str
    about: str
    colour: str
    moves: tuple[float, ...]


class _Sides(NamedTuple):
    """The bands *above* and *below* the axis, from it outwards, and the *height* that the picture's stands for, in moves."""

    above: list[_Band]
    below: list[_Band]
    height: float
    #: Half the thickness of the line in the middle.
    core: float


def cone_words(cone: Cone) -> tuple[str, str]:
    """Title and description of the picture, for who can not see it."""
    title = f"The cone of {plain(cone.subject)}"
    words = "; ".join(facts(cone))
    bands = ", ".join(f"{plain(strand.name)} {strand.moves[-1]:,}" for strand in cone.strands[:_MOST] if strand.moves[-1])
    moved = f" It widens to the right; moves of each package: {bands}." if bands else ""
    lock = f" Under it {plain(cone.lock)} is a straight tube." if cone.locked is not None else ""
    return title, f"{words}.{moved}{lock}"


def cone_svg(cone: Cone, *, narrow: bool = False, titled: bool = True) -> str:
    """The picture of *cone* as SVG; *narrow* is for a telephone's width; where it is not *titled* its page says what it is.

    Raises:
        SanctityError: ``plots-not-installed``.
    """
    title, description = cone_words(cone)
    shape = _NARROW if narrow else _WIDE
    if not titled:
        less = _top(shape) - _BARE
        shape = shape._replace(titled=False, height=shape.height - less, left=0.04)
    with drawing() as figure:
        return svg_of(_draw(figure, cone, shape), title=title, description=description)


def cone_png(cone: Cone) -> bytes:
    """The picture of *cone* as PNG.

    Raises:
        SanctityError: ``plots-not-installed``.
    """
    with drawing() as figure:
        return png_of(_draw(figure, cone, _WIDE))


def _number(instant: str) -> float:
    """*instant* in days."""
    return datetime.fromisoformat(instant).timestamp() / 86400


def _sides(cone: Cone, most: int) -> _Sides:
    """The bands of *cone*, of which *most* have a name: each goes to the side that is the thinner one until then."""
    moved = [strand for strand in cone.strands if strand.moves[-1]]
    own = moved if len(moved) <= most else moved[: most - 1]
    above: list[_Band] = []
    below: list[_Band] = []
    for strand, colour in zip(own, SERIES, strict=False):
        versions = count(len(strand.versions), "version")
        about = f"{versions}, {plain(strand.first) or 'absent'} → {plain(strand.last) or 'absent'}"
        band = _Band(plain(strand.name), about, colour, strand.moves)
        (above if _total(above) <= _total(below) else below).append(band)
    if len(own) == 1 and len(moved) == 1:  # alone it lies on both sides
        (band,) = above
        half = tuple(move / 2 for move in band.moves)
        above, below = [band._replace(moves=half)], [band._replace(moves=half, name="")]
    if rest := moved[len(own) :]:
        outer: tuple[list[Strand], list[Strand]] = ([], [])
        sums = [_total(above), _total(below)]
        for strand in rest:
            side = 0 if sums[0] <= sums[1] else 1
            outer[side].append(strand)
            sums[side] += strand.moves[-1]
        about = count(sum(len(strand.versions) for strand in rest), "version")
        named = f"{len(rest):,} more packages"
        for bands, strands in zip((above, below), outer, strict=True):
            if strands:
                moves = tuple(float(sum(each)) for each in zip(*(strand.moves for strand in strands), strict=True))
                bands.append(_Band(named, about, _REST, moves))
                named = ""
    most_moves = max(_total(above), _total(below))
    height = max(2 * most_moves, _LEAST) * 1.08
    return _Sides(above, below, height, height * (0.004 if moved else 0.06))


def _total(bands: Sequence[_Band]) -> float:
    return sum(band.moves[-1] for band in bands)


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to those *wanted* (descending) as they can be, *gap* apart, between *low* and *high*."""
    groups: list[tuple[float, int]] = []  # the middle of a run, and how many are in it
    for place in wanted:
        groups.append((place, 1))
        while len(groups) > 1:
            (upper, above), (lower, below) = groups[-2:]
            if upper - (above - 1) * gap / 2 - gap >= lower + (below - 1) * gap / 2:
                break
            middle = (upper * above + lower * below) / (above + below)
            groups[-2:] = [(middle, above + below)]
    places: list[float] = []
    for middle, number in groups:
        half = (number - 1) * gap / 2
        top = min(max(middle, low + half), high - half) + half
        places += [top - gap * index for index in range(number)]
    return places


def _top(shape: _Shape) -> float:
    """The inches above the cone, for the title."""
    if not shape.titled:
        return _BARE
    return 1.25 if shape.narrow else 1.05


def _draw(module: Any, cone: Cone, shape: _Shape) -> Any:
    figure = module.Figure(figsize=(shape.width, shape.height), facecolor=PAPER)
    tube = 1.25 if cone.locked is not None else 0.25
    span = (shape.width - shape.left - shape.right) / shape.width
    top = _top(shape)
    box = (shape.left / shape.width, (tube + 0.35) / shape.height, span, (shape.height - top - tube - 0.35) / shape.height)
    axes = figure.add_axes(box)
    figure_text = {"color": INK, "ha": "left", "va": "baseline"}
    left = shape.left / shape.width
    if shape.titled:
        _headline(figure, cone, shape, left, figure_text)
    start, end = _number(cone.resolutions[0].at), _number(cone.resolutions[-1].at)
    if end == start:
        end = start + 1
    axes.set_axis_off()
    axes.set_xlim(start, end)
    sides = _sides(cone, 6 if shape.narrow else _MOST) if cone.resolved else None
    height = sides.height if sides else _LEAST
    axes.set_ylim(-height / 2 * 1.06, height / 2 * 1.06)
    _years(axes, start, end, shape)
    if sides is not None:
        _cone(axes, cone, shape, sides, (start, end))
    _outages(axes, cone, shape)
    if cone.locked is not None:
        low = figure.add_axes((box[0], 0.2 / shape.height, span, 0.85 / shape.height))
        low.set_axis_off()
        low.set_xlim(start, end)
        low.set_ylim(-1, 1)
        _cylinder(low, cone, shape, (start, end))
    return figure


def _headline(figure: Any, cone: Cone, shape: _Shape, left: float, style: dict[str, str]) -> None:
    def at(inches: float) -> float:
        return (shape.height - inches) / shape.height

    distinct = len(cone.environments)
    name = _shortened(plain(cone.subject), 24 if shape.narrow else 48)
    if not distinct:
        title = f"{name} can not be resolved"
    elif distinct == 1:
        title = f"{name} came to one environment"
    else:
        title = f"{name} came to {distinct:,} environments"
    figure.text(left, at(0.42), title, fontsize=shape.text + (3.5 if shape.narrow else 6), fontweight="bold", **style)
    platform = f", {plain(cone.target.platform)}" if cone.target.platform else ""
    when = f"{count(len(cone.resolutions), 'date')} from {day_of(cone.resolutions[0].at)} to {day_of(cone.resolutions[-1].at)[:10]}"
    words = f"installed afresh at {when}, Python {cone.target.python}{platform}"
    lines = [words, "each band is a package, as thick as the versions it has moved through"]
    if distinct < 2:
        lines = lines[:1]
    elif cone.resolved[0].at == cone.resolutions[0].at:
        lines[1] += f"; the line in the middle is {day_of(cone.resolved[0].at)}"
    if shape.narrow:
        lines = [
            when,
            f"Python {cone.target.python}{platform}; a band is a package,",
            "as thick as the versions it has moved through",
        ]
    for number, line in enumerate(lines):
        figure.text(left, at(0.67 + 0.2 * number), line, fontsize=shape.text - 0.5, **{**style, "color": QUIET})


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"


def _years(axes: Any, start: float, end: float, shape: _Shape) -> None:
    """Hair lines at the turns of years, or of months where there are few of them."""
    days = end - start
    step = 1 if days <= 400 else 3 if days <= 800 else 12
    first = datetime.fromisoformat("1970-01-01T00:00:00Z")
    year = int(1970 + start / 365.2425)
    marks = []
    for month in range((int(days) // 28 + 14) // step * step + 12):
        here = first.replace(year=year + month // 12, month=month % 12 + 1)
        if month % step == 0 and start <= _number(here.isoformat()) <= end:
            marks.append(here)
    most = 5 if shape.narrow else 12
    if len(marks) > most:
        marks = marks[:: -(-len(marks) // most)]
    for here in marks:
        x = _number(here.isoformat())
        axes.axvline(x, color=FAINT, linewidth=0.7, zorder=0)
        words = str(here.year) if step == 12 or here.month == 1 else here.strftime("%b")
        axes.annotate(
            words,
            (x, 0),
            xycoords=("data", "axes fraction"),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=shape.text - 1,
            color=QUIET,
            ha="left",
            va="bottom",
        )


def _cone(axes: Any, cone: Cone, shape: _Shape, sides: _Sides, span: tuple[float, float]) -> None:
    from matplotlib.patches import Ellipse, Rectangle

    kept = _kept(len(cone.stages))
    times = [_number(cone.stages[number].at) for number in kept]
    above, below = ([band._replace(moves=tuple(band.moves[number] for number in kept)) for band in side] for side in sides[:2])
    height, core = sides.height, sides.core
    upper = _edges(above, len(times), core)
    lower = _edges(below, len(times), core)
    # The first answer is the axis: it is what the bands drift away from.
    layers: list[tuple[_Band | None, list[float], list[float]]] = [
        *((band, upper[number], upper[number + 1]) for number, band in enumerate(above)),
        *((band, _negative(lower[number + 1]), _negative(lower[number])) for number, band in enumerate(below)),
        (None, _negative(lower[0]), upper[0]),
    ]
    top, bottom = upper[-1], _negative(lower[-1])
    inches = shape.width - shape.left - shape.right
    depth = (span[1] - span[0]) * (0.12 if shape.narrow else 0.17) / inches
    middle, mouth_height = (top[-1] + bottom[-1]) / 2, top[-1] - bottom[-1]

    def ellipse(**style: Any) -> Any:
        made = Ellipse((times[-1], middle), 2 * depth, mouth_height, clip_on=False, **style)
        axes.add_patch(made)
        return made

    mouth = ellipse(facecolor="none", edgecolor="none")
    ends: list[tuple[_Band, float]] = []
    for band, low, high in layers:
        colour = band.colour if band else INK if above or below else QUIET
        width = 0.6 if band else 0.0
        if len(times) > 1:
            axes.fill_between(times, low, high, facecolor=colour, edgecolor=PAPER, linewidth=width, zorder=2, clip_on=False)
        corner = (times[-1] - depth, low[-1])
        slice_ = Rectangle(corner, 2 * depth, high[-1] - low[-1], facecolor=colour, edgecolor=PAPER, linewidth=width, zorder=3)
        axes.add_patch(slice_)
        slice_.set_clip_box(None)
        slice_.set_clip_path(mouth)
        if band and band.name:
            ends.append((band, (low[-1] + high[-1]) / 2))
    ellipse(facecolor=PAPER, alpha=0.3, edgecolor="none", zorder=4)
    ellipse(facecolor="none", edgecolor=INK, linewidth=0.9, zorder=5)
    ends.sort(key=lambda each: -each[1])
    _labels(axes, ends, shape, height, (times[-1], depth, middle, mouth_height))
    _counts(axes, [cone.stages[number].environments for number in kept], shape, times, top)


def _kept(dates: int) -> list[int]:
    """Which of so many dates are drawn: all where there are few, the first and the last among them where there are many."""
    step = max(1, -(-dates // _MOST_POINTS))
    return [*range(0, dates - 1, step), dates - 1]


def _edges(bands: Sequence[_Band], dates: int, core: float) -> list[list[float]]:
    """How far from the axis each band begins, at each date, and where the last one ends."""
    edges = [[core] * dates]
    for band in bands:
        edges.append([edge + move for edge, move in zip(edges[-1], band.moves, strict=True)])
    return edges


def _negative(values: Sequence[float]) -> list[float]:
    return [-value for value in values]


def _labels(
    axes: Any, ends: Sequence[tuple[_Band, float]], shape: _Shape, height: float, mouth: tuple[float, float, float, float]
) -> None:
    """Each band's name at its end, moved apart where two would touch."""
    box = axes.get_position()
    inches = box.height * shape.height
    lines = 1.35 if shape.narrow else 2.65
    gap = lines * shape.text / 72 / inches * height * 1.06
    limit = height / 2 * 1.06 - gap / 3
    places = _spread([place for _, place in ends], gap, -limit, limit)
    per_inch = (axes.get_xlim()[1] - axes.get_xlim()[0]) / (box.width * shape.width)
    x = mouth[0] + mouth[1]
    half = mouth[3] / 2
    for (band, end), place in zip(ends, places, strict=True):
        rim = mouth[0] + mouth[1] * max(0.0, 1 - ((end - mouth[2]) / half) ** 2) ** 0.5
        axes.plot(
            [rim + 0.03 * per_inch, x + 0.12 * per_inch, x + 0.21 * per_inch],
            [end, place, place],
            color=band.colour,
            linewidth=1.6,
            clip_on=False,
            solid_capstyle="round",
            zorder=6,
        )
        offset = shape.text * 0.1 if shape.narrow else shape.text * 0.62
        axes.annotate(
            _shortened(band.name, 16 if shape.narrow else 30),
            (x + 0.26 * per_inch, place),
            xytext=(0, offset),
            textcoords="offset points",
            fontsize=shape.text,
            fontweight="bold",
            color=INK,
            ha="left",
            va="center",
            annotation_clip=False,
        )
        if not shape.narrow:
            axes.annotate(
                band.about if len(band.about) <= 56 else f"{band.about[:55]}…",
                (x + 0.26 * per_inch, place),
                xytext=(0, -shape.text * 0.52),
                textcoords="offset points",
                # Long versions are drawn smaller, so that their end is in the picture.
                fontsize=(shape.text - 1.5) * min(1.0, _LETTERS / len(band.about)),
                color=QUIET,
                ha="left",
                va="center",
                annotation_clip=False,
            )


def _counts(axes: Any, environments: Sequence[int], shape: _Shape, times: Sequence[float], top: Sequence[float]) -> None:
    """How many environments there were so far, along the upper edge."""
    wanted = [0.25, 0.5, 0.75] if not shape.narrow else [0.5]
    told = {1}
    for part in wanted:
        index = round(part * (len(times) - 1))
        number = environments[index]
        if number in told or index in {0, len(times) - 1}:
            continue
        told.add(number)
        words = f"{number:,} so far" if told != {1, number} else f"{count(number, 'environment')} so far"
        axes.annotate(
            words,
            (times[index], top[index]),
            xytext=(-6, 9),
            textcoords="offset points",
            fontsize=shape.text - 1,
            color=QUIET,
            ha="right",
            va="bottom",
            annotation_clip=False,
        )
        axes.plot([times[index]], [top[index]], marker="o", markersize=3.2, color=INK, zorder=7, clip_on=False)


def _outages(axes: Any, cone: Cone, shape: _Shape) -> None:
    """Where there is no resolution, along the foot."""
    failed = [each.at for each in cone.failed]
    if not failed:
        return
    axes.plot(
        [_number(at) for at in failed],
        [_FOOT] * len(failed),
        transform=axes.get_xaxis_transform(),
        linestyle="none",
        marker="x",
        markersize=5,
        markeredgewidth=1.2,
        color=QUIET,
        clip_on=False,
        zorder=7,
    )
    first = outages(cone)[0]
    axes.annotate(
        "no resolution" if shape.narrow else f"no resolution {first.when}",
        (_number(failed[0]), _FOOT),
        xycoords=("data", "axes fraction"),
        xytext=(-3, 11),
        textcoords="offset points",
        fontsize=shape.text - 1,
        color=QUIET,
        ha="left",
        va="center",
        annotation_clip=False,
    )


def _cylinder(axes: Any, cone: Cone, shape: _Shape, span: tuple[float, float]) -> None:
    """The lock: a tube over the same time."""
    from matplotlib.patches import Ellipse, Rectangle

    start, end = span
    inches = shape.width - shape.left - shape.right
    depth = (end - start) * 0.07 / inches
    half = 0.42
    axes.add_patch(Ellipse((start + depth, 0), 2 * depth, 2 * half, facecolor=QUIET, edgecolor="none", zorder=2))
    axes.add_patch(Rectangle((start + depth, -half), end - start - depth, 2 * half, facecolor=QUIET, edgecolor="none", zorder=2))
    shine = Rectangle(
        (start + depth, half * 0.35), end - start - depth, half * 0.3, facecolor=PAPER, alpha=0.22, edgecolor="none", zorder=3
    )
    axes.add_patch(shine)
    mouth = Ellipse((end, 0), 2 * depth, 2 * half, facecolor=FAINT, edgecolor=INK, linewidth=0.9, zorder=4)
    mouth.set_clip_on(False)
    axes.add_patch(mouth)
    name = _shortened(plain(cone.lock), 20 if shape.narrow else 44)
    words = f"{name} is one environment at every date"
    if shape.narrow:
        words = f"{name}: one environment"
    axes.annotate(
        words,
        (start, half),
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=shape.text,
        fontweight="bold",
        color=INK,
        ha="left",
        va="bottom",
        annotation_clip=False,
    )
    per_inch = (end - start) / inches
    axes.annotate(
        "locked" if shape.narrow else f"{count(len(cone.locked or ()), 'package')} locked",
        (end + depth + 0.26 * per_inch, 0),
        xytext=(0, 0),
        textcoords="offset points",
        fontsize=shape.text - 0.5,
        color=QUIET,
        ha="left",
        va="center",
        annotation_clip=False,
    )
