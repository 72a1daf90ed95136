"""The receipt: what one seed reached in this process, what it did not, and why.

A `Row` is one control, which is something that makes a run repeat: a stream, a setting, the hash seed. Its status is one of a
closed set, and only ``applied`` is a yes: what is not known to hold is never called that. Texts from outside stand in rows with
what could drive a terminal written out. A receipt states no clock, no host, no path, so equal runs have equal receipts and digests.

A receipt that the call gave is alive: rows change when a library arrives, and when `Receipt.recheck` finds them overwritten. One
that was read from a document is not. The document is ``sanctity.receipt/1``; its schema is ``report/schema/receipt-1.json``.
"""

from __future__ import annotations

from _thread import allocate_lock

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, NoReturn

__all__ = ["SCHEMA", "STATUSES", "Receipt", "Relaxation", "Row", "plain"]

SCHEMA = "sanctity.receipt/1"

#: Every status that a row can have, and what each says.
STATUSES = {
    "applied": "it was set, and read back where that can be done",
    "pending": "its library is not imported yet, and is reached when it arrives",
    "too-late": "it is read once, and that was before the call; the remedy says what is in time",
    "unavailable": "there is nothing here that it could reach",
    "not-controllable": "no seed reaches it; the remedy says what to use in its place",
    "refused": "it could be set and was not, for the reason that is given",
    "overwritten": "it was applied, and something else has set it since",
    "relaxed": "it is switched off in a block of the program, under a waiver",
}
#: How wide a printed receipt is, in characters.
_WIDTH = 100
#: The statuses that are told on standard error, and that ``strict`` refuses, unless the row says otherwise.
_LOUD = ("too-late", "not-controllable", "refused", "overwritten")


class _Value:
    """What is made once and never changed; its slots are its values."""

    __slots__: tuple[str, ...] = ()

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} can not be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} can not be changed: {name}")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())


class Row(_Value):
    """One control: its name, its library, its status, what was done or found, and what helps where it is not applied.

    *loud* is whether it is told on standard error and refused by ``strict``: a row that is not applied, but for what is pending,
    what is not there, and standing facts that hold for every program.
    """

    __slots__ = ("control", "detail", "library", "loud", "remedy", "status")

    control: str
    library: str
    status: str
    detail: str
    remedy: str
    loud: bool

    def __init__(
        self, control: str, library: str, status: str, detail: str = "", remedy: str = "", *, loud: bool | None = None
    ) -> None:
        if status not in STATUSES:
            raise AssertionError(f"there is no status {status!r}")
        told = status in _LOUD if loud is None else loud
        for name, value in (
            ("control", control),
            ("library", plain(library)),
            ("status", status),
            ("detail", plain(detail)),
            ("remedy", plain(remedy)),
            ("loud", told),
        ):
            object.__setattr__(self, name, value)

    def with_status(self, status: str, detail: str, remedy: str = "") -> Row:
        """This control with another *status*."""
        return Row(self.control, self.library, status, detail, remedy)

    def __reduce__(self) -> tuple[Callable[..., Row], tuple[object, ...]]:
        return _row, (self.control, self.library, self.status, self.detail, self.remedy, self.loud)

    def __repr__(self) -> str:
        return f"Row({self.control!r}, {self.library!r}, {self.status!r}, {self.detail!r}, {self.remedy!r})"


class Relaxation(_Value):
    """How often a *control* was switched off on purpose under a *waiver*: its *reason*, measured *cost*, *tolerance* and last day.

    *count* is a number of blocks that were entered, from 1. *rules* is the digest of the rules by which the waiver counted.
    """

    __slots__ = ("control", "cost", "count", "reason", "rules", "tolerance", "until", "waiver")

    control: str
    cost: str
    count: int
    reason: str
    rules: str
    tolerance: str
    until: str
    waiver: str

    def __init__(
        self, control: str, waiver: str, count: int, *, reason: str, cost: str, tolerance: str, until: str, rules: str
    ) -> None:
        texts = {"control": control, "waiver": waiver, "reason": reason, "cost": cost, "tolerance": tolerance, "until": until}
        for name, value in {**texts, "rules": rules}.items():
            object.__setattr__(self, name, plain(value))
        object.__setattr__(self, "count", count)

    def with_count(self, count: int) -> Relaxation:
        """The same with another *count*."""
        texts = {name: getattr(self, name) for name in ("reason", "cost", "tolerance", "until", "rules")}
        return Relaxation(self.control, self.waiver, count, **texts)

    @property
    def key(self) -> tuple[str, str, str]:
        """What is counted together."""
        return self.control, self.waiver, self.rules

    def __reduce__(self) -> tuple[Callable[..., Relaxation], tuple[object, ...]]:
        return _relaxation, self._values()


def _relaxation(
    control: str, cost: str, count: int, reason: str, rules: str, tolerance: str, until: str, waiver: str
) -> Relaxation:
    return Relaxation(control, waiver, count, reason=reason, cost=cost, tolerance=tolerance, until=until, rules=rules)


def _row(control: str, library: str, status: str, detail: str, remedy: str, loud: bool) -> Row:
    return Row(control, library, status, detail, remedy, loud=loud)


_lock = allocate_lock()


def after_fork() -> None:
    """Let go of the lock: the thread that held it when the process was forked is not here."""
    global _lock  # noqa: PLW0603 - see above
    _lock = allocate_lock()


class Receipt:
    """What one call reached. *rows* has a row for each control; *recorded* what was looked at and never set.

    *relaxations* say how often which control was switched off on purpose.
    *seed* is the root, *scheme* the rule by which seeds came of it, *version* the sanctity that did it. *rank* is the one that was
    given, or None; *child* says which child of which child this process is, ``()`` where it made the call itself.
    """

    __slots__ = ("_again", "algorithms", "child", "rank", "recorded", "relaxations", "rows", "scheme", "seed", "version")

    def __init__(
        self,
        *,
        seed: int,
        scheme: str,
        version: str,
        rank: int | None = None,
        child: tuple[int, ...] = (),
        algorithms: str = "raise",
        rows: Iterable[Row] = (),
        recorded: Mapping[str, str] | None = None,
        relaxations: Iterable[Relaxation] = (),
        again: Callable[[], tuple[Iterable[Row], Mapping[str, str]]] | None = None,
    ) -> None:
        self.seed = seed
        self.scheme = scheme
        self.version = version
        self.rank = rank
        self.child = child
        self.algorithms = algorithms
        self.rows: tuple[Row, ...] = tuple(rows)
        self.recorded: dict[str, str] = {}
        self.record(recorded or {})
        self.relaxations: tuple[Relaxation, ...] = ()
        self.relax(*relaxations)
        self._again = again

    def __getitem__(self, control: str) -> Row:
        """The row of *control*.

        Raises:
            sanctity.errors.UsageError: ``control-unknown``: it has none.
        """
        for row in self.rows:
            if row.control == control:
                return row
        from sanctity.errors import UsageError

        names = ", ".join(row.control for row in self.rows)
        raise UsageError("control-unknown", f"the receipt has no control {control!r}", hint=f"the controls are {names}")

    def __contains__(self, control: object) -> bool:
        return any(row.control == control for row in self.rows)

    @property
    def loud(self) -> tuple[Row, ...]:
        """The rows that are told on standard error, and that ``strict`` refuses."""
        return tuple(row for row in self.rows if row.loud)

    def require(self, *controls: str) -> Receipt:
        """Return the receipt if each of *controls* is applied; with none named, if no row is one that would be told.

        Raises:
            sanctity.errors.SanctityError: ``control-not-applied``, which names them all.
            sanctity.errors.UsageError: ``control-unknown``.
        """
        lacking = [row for row in map(self.__getitem__, controls) if row.status != "applied"] if controls else list(self.loud)
        if lacking:
            from sanctity.errors import SanctityError

            words = "; ".join(f"{row.control} is {row.status}: {row.detail}" for row in lacking)
            hint = (
                "; ".join(dict.fromkeys(row.remedy for row in lacking if row.remedy))
                or "print the receipt, and see docs/determinism.md"
            )
            raise SanctityError("control-not-applied", words, hint=hint)
        return self

    def recheck(self) -> Receipt:
        """Read back what can be, turn rows that somebody else has set into ``overwritten``, and return the receipt.

        docs/determinism.md says for each control what is compared, and what can not be told.

        Raises:
            sanctity.errors.UsageError: ``receipt-detached``: it was read from a document, or another call has been made since.
        """
        if self._again is None:
            from sanctity.errors import UsageError

            raise UsageError(
                "receipt-detached",
                "this receipt is not of the last call of this process, so there is nothing to compare it with",
                hint="recheck the receipt that the last call returned",
            )
        rows, recorded = self._again()
        self.update(rows)
        self.record(recorded)
        return self

    def update(self, rows: Iterable[Row]) -> None:
        """Put *rows* in the place of those of the same controls; new ones come last."""
        new = {row.control: row for row in rows}
        with _lock:
            kept = [new.pop(row.control, row) for row in self.rows]
            self.rows = (*kept, *new.values())

    def record(self, found: Mapping[str, str]) -> None:
        """Add *found* to what was looked at and never set."""
        with _lock:
            self.recorded = dict(sorted({**self.recorded, **{plain(name): plain(value) for name, value in found.items()}}.items()))

    def relax(self, *relaxations: Relaxation) -> None:
        """Add the counts of *relaxations* to what was relaxed on purpose."""
        with _lock:
            found = {each.key: each for each in self.relaxations}
            for each in relaxations:
                known = found.get(each.key)
                found[each.key] = each if known is None else known.with_count(known.count + each.count)
            self.relaxations = tuple(sorted(found.values(), key=lambda each: each.key))

    def detach(self) -> None:
        """Say that another call took this one's place: it can not be rechecked any more."""
        self._again = None

    def __eq__(self, other: object) -> bool:
        return self._document() == other._document() if isinstance(other, Receipt) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # it changes

    def __reduce__(self) -> tuple[Callable[[str], Receipt], tuple[str]]:
        return Receipt.from_json, (self.to_json(),)

    # -- as a document --------------------------------------------------------------------------------------------------------

    def _document(self) -> dict[str, Any]:
        document = {
            "schema": SCHEMA,
            "tool": {"name": "sanctity", "version": self.version},
            "seed": str(self.seed),
            "scheme": self.scheme,
            "rank": self.rank,
            "child": list(self.child),
            "algorithms": self.algorithms,
            "rows": [{name: getattr(row, name) for name in sorted(Row.__slots__)} for row in self.rows],
            "recorded": dict(self.recorded),
        }
        if self.relaxations:  # one without is the document that it was before there were any
            names = Relaxation.__slots__
            document["relaxations"] = [{name: getattr(each, name) for name in names} for each in self.relaxations]
        return document

    @property
    def digest(self) -> str:
        """``sha256:`` and the digest of the document's canonical bytes, the digest itself left out."""
        from hashlib import sha256

        return f"sha256:{sha256(_canonical(self._document())).hexdigest()}"

    def to_json(self) -> str:
        """The document ``sanctity.receipt/1``: the seed as text, since it may have 128 bits."""
        from json import dumps

        return dumps({**self._document(), "digest": self.digest}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Receipt:
        """The receipt that `to_json` wrote; it is not alive.

        Raises:
            sanctity.errors.DocumentError: ``receipt-invalid``: it is no such document, or does not agree with its digest.
        """
        from json import loads

        try:
            document = loads(text)
        except (ValueError, RecursionError) as error:
            raise _invalid("$", f"no JSON: {error}") from error
        return _read(document)

    # -- for people -----------------------------------------------------------------------------------------------------------

    def _title(self) -> str:
        words = [f"seed {self.seed}", self.scheme, f'algorithms "{self.algorithms}"']
        if self.rank is not None:
            words.append(f"rank {self.rank}")
        if self.child:
            words.append("child " + ".".join(map(str, self.child)))
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.status] = counts.get(row.status, 0) + 1
        told = ", ".join(f"{counts[status]} {status}" for status in STATUSES if status in counts)
        return f"{', '.join(words)}: {told}"

    def _relaxed(self) -> list[str]:
        """A sentence on each of the relaxations."""
        return [
            f"{each.control} {times(each.count)} under {each.waiver}: {each.reason}; it costs {each.cost}, and accepted is "
            f"{each.tolerance}; until {each.until}"
            for each in self.relaxations
        ]

    def __str__(self) -> str:
        names = max((len(row.control) for row in self.rows), default=0)
        states = max((len(row.status) for row in self.rows), default=0)
        lines = [self._title()]
        for status in STATUSES:
            for row in self.rows:
                if row.status == status:
                    words = _wrapped(row.detail, _WIDTH - names - states - 6)
                    if row.remedy and status != "applied":
                        words += [
                            "-> " + line if not i else "   " + line
                            for i, line in enumerate(_wrapped(row.remedy, _WIDTH - names - states - 9))
                        ]
                    lines.append(f"  {row.control:{names}}  {status:{states}}  {words[0]}".rstrip())
                    lines += [f"  {'':{names}}  {'':{states}}  {line}" for line in words[1:]]
        if self.relaxations:
            lines.append("relaxed on purpose:")
            for sentence in self._relaxed():
                lines += ["  " + line if not i else "    " + line for i, line in enumerate(_wrapped(sentence, _WIDTH - 4))]
        if self.recorded:
            words = _wrapped(", ".join(f"{name} {value}" for name, value in self.recorded.items()), _WIDTH - 2)
            lines += ["recorded, never set:", *("  " + line for line in words)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A table for a notebook."""
        from html import escape

        head = "".join(
            f'<th style="text-align:left">{name}</th>' for name in ("control", "status", "what was done, and what helps")
        )
        body = ""
        for row in sorted(self.rows, key=lambda row: list(STATUSES).index(row.status)):
            remedy = f"<br><i>{escape(row.remedy)}</i>" if row.remedy and row.status != "applied" else ""
            mark = "<b>" + row.status + "</b>" if row.loud else row.status
            cells = f"<td>{escape(row.control)}</td><td>{mark}</td>"
            body += f'<tr>{cells}<td style="text-align:left">{escape(row.detail)}{remedy}</td></tr>'
        relaxed = "".join(f"<li>{escape(sentence)}</li>" for sentence in self._relaxed())
        relaxed = f"<p>relaxed on purpose</p><ul>{relaxed}</ul>" if relaxed else ""
        recorded = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in self.recorded.items())
        under = f"<details><summary>recorded, never set</summary><ul>{recorded}</ul></details>" if recorded else ""
        caption = f'<caption style="text-align:left">{escape(self._title())}</caption>'
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{relaxed}{under}"


def _wrapped(text: str, width: int) -> list[str]:
    """*text* in lines of at most *width* characters, but for words that are longer; `textwrap` would import `re`."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def times(count: int) -> str:
    """*count* as a word or two."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def plain(text: str) -> str:
    """*text* with what drives a terminal, and what is no Unicode text, written out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _canonical(document: dict[str, Any]) -> bytes:
    from json import dumps

    return dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _invalid(where: str, message: str) -> Exception:
    from sanctity.errors import DocumentError

    return DocumentError("receipt-invalid", message, where=where, hint="a receipt is what Receipt.to_json wrote, unchanged")


def _read(document: object) -> Receipt:
    if not isinstance(document, dict):
        raise _invalid("$", "it is no JSON object")
    if document.get("schema") != SCHEMA:
        raise _invalid("schema", f"{document.get('schema')!r} is not {SCHEMA}")
    names = {"schema", "tool", "seed", "scheme", "rank", "child", "algorithms", "rows", "recorded", "digest"}
    stated = document.keys() - {"relaxations"}
    if stated != names:
        raise _invalid("$", f"the names are not those of {SCHEMA}: {', '.join(map(repr, sorted(stated ^ names)))}")
    tool, seed, rank, child = (document[name] for name in ("tool", "seed", "rank", "child"))
    if not (
        isinstance(tool, dict)
        and tool.keys() == {"name", "version"}
        and tool["name"] == "sanctity"
        and isinstance(tool["version"], str)
    ):
        raise _invalid("tool", "it is no name and version")
    if not (isinstance(seed, str) and seed.isascii() and seed.isdecimal() and len(seed) < 40 and str(int(seed)) == seed):
        raise _invalid("seed", f"{seed!r} is no number in decimal")
    if not (rank is None or _natural(rank)):
        raise _invalid("rank", f"{rank!r} is no rank")
    if not (isinstance(child, list) and all(map(_natural, child))):
        raise _invalid("child", f"{child!r} is no list of numbers")
    for name in ("scheme", "algorithms", "digest"):
        if not isinstance(document[name], str):
            raise _invalid(name, f"{document[name]!r} is no text")
    recorded = document["recorded"]
    if not (isinstance(recorded, dict) and all(isinstance(value, str) for value in recorded.values())):
        raise _invalid("recorded", "it is no table of texts")
    if not isinstance(document["rows"], list):
        raise _invalid("rows", "they are no array")
    receipt = Receipt(
        seed=int(seed),
        scheme=document["scheme"],
        version=tool["version"],
        rank=rank,
        child=tuple(child),
        algorithms=document["algorithms"],
        rows=[_read_row(f"rows[{number}]", row) for number, row in enumerate(document["rows"])],
        recorded=recorded,
        relaxations=_read_relaxations(document["relaxations"]) if "relaxations" in document else (),
    )
    if len({row.control for row in receipt.rows}) != len(receipt.rows):
        raise _invalid("rows", "a control has two rows")
    if receipt.digest != document["digest"]:
        raise _invalid("digest", f"it says {document['digest']!r}, and the digest of what stands here is {receipt.digest}")
    return receipt


def _read_row(where: str, row: object) -> Row:
    if not (isinstance(row, dict) and row.keys() == set(Row.__slots__)):
        raise _invalid(where, f"it is no object of {', '.join(sorted(Row.__slots__))}")
    texts = {name: row[name] for name in Row.__slots__ if name != "loud"}
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(row["loud"], bool):
        raise _invalid(where, "a value is of the wrong kind")
    if row["status"] not in STATUSES:
        raise _invalid(f"{where}.status", f"there is no status {row['status']!r}")
    return Row(**texts, loud=row["loud"])


def _read_relaxations(found: object) -> list[Relaxation]:
    if not (isinstance(found, list) and found):
        raise _invalid("relaxations", "they are no array, or an empty one")
    relaxations = [_read_relaxation(f"relaxations[{number}]", each) for number, each in enumerate(found)]
    if len({each.key for each in relaxations}) < len(relaxations):
        raise _invalid("relaxations", "a control has two counts for one waiver")
    return relaxations


def _read_relaxation(where: str, found: object) -> Relaxation:
    if not (isinstance(found, dict) and found.keys() == set(Relaxation.__slots__)):
        raise _invalid(where, f"it is no object of {', '.join(Relaxation.__slots__)}")
    if not all(isinstance(value, str) for name, value in found.items() if name != "count"):
        raise _invalid(where, "a value is of the wrong kind")
    if not (_natural(found["count"]) and found["count"]):
        raise _invalid(f"{where}.count", f"{found['count']!r} is no number from 1")
    return Relaxation(**found)


def _natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
