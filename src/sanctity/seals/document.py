"""The document ``sanctity.seal/1``: bytes in, a `Seal` out, and back (docs/seal.md).

A seal is made to be read in a pull request, so it is pretty-printed with one line a distribution, and digested in canonical bytes,
so that its layout does not matter. It must agree with itself: the policy's digest, the parts and the fingerprint are computed
again, and a key that is not known is refused, since it might be one that forbids something.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

from sanctity.canon.fingerprint import PARTS, distribution_row, hook_row, part_digest, whole
from sanctity.errors import DocumentError
from sanctity.model.digest import ContentDigest, Digest
from sanctity.model.drift import Selection
from sanctity.model.environment import Hook, HookKind
from sanctity.model.platform import Accelerator, Blas, Build, Cpu, NativeLibrary
from sanctity.model.policy import Policy
from sanctity.model.seal import SEAL_SCHEMA, Canary, Seal, SealedDistribution, SealedEnvironment, SealedLock
from sanctity.model.wire import MAX_SAFE_INTEGER, Reader, canonical
from sanctity.policies.document import policy_digest, policy_document, read_policy, read_waiver, waiver_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.model.policy import Waiver

__all__ = ["format_seal", "load_json", "parse_seal", "seal_document", "seal_of"]

_HINT: Final = "write it again with `sanctity seal`"
_HEX: Final = re.compile(r"sha256:((?:[0-9a-f]{2})*)")
_LARGEST: Final = 1 << 26
#: Lists of these have one line an item; all else is short and takes one line a key.
_LINED: Final = frozenset({"distributions", "startup", "unclaimed", "activation", "native", "blas", "accelerators", "settings"})


# -- out --------------------------------------------------------------------------------------------------------------------------


def _given(**fields: object) -> dict[str, object]:
    """The fields that say anything."""
    return {key: value for key, value in fields.items() if value not in (None, "", (), [], 0)}


def _hex(raw: bytes) -> str:
    return f"sha256:{raw.hex()}"


def _distribution_document(item: SealedDistribution) -> dict[str, object]:
    return {"name": item.name} | _given(
        version=item.version,
        content=str(item.content) if item.content else "",
        stated=str(item.stated) if item.stated else "",
        artifact=str(item.artifact) if item.artifact else "",
        origin=item.origin,
        files=str(item.files) if item.files else "",
    )


def _counted(value: tuple[int, Digest] | None) -> dict[str, object] | None:
    return {"files": value[0], "digest": str(value[1])} if value else None


def _environment_document(sealed: SealedEnvironment) -> dict[str, object]:
    build = sealed.build
    return {
        "platform": sealed.platform,
        "python": {"implementation": sealed.implementation, "version": sealed.version, "abi": sealed.abi},
        "lock": {"path": sealed.lock.path, "format": sealed.lock.format, "digest": str(sealed.lock.digest)}
        if sealed.lock
        else None,
        "selection": {
            "groups": list(sealed.selection.groups),
            "extras": list(sealed.selection.extras),
            "members": list(sealed.selection.members),
        }
        | _given(environment=sealed.selection.environment),
        "basis": sealed.basis,
        "accepted": list(sealed.accepted),
        "fingerprint": str(sealed.fingerprint),
        "parts": {name: str(digest) for name, digest in sealed.parts},
        "distributions": [_distribution_document(item) for item in sealed.distributions],
        "startup": [
            {"kind": str(hook.kind), "path": hook.path, "digest": _hex(hook.digest)} | _given(effect=hook.effect)
            for hook in sealed.startup
        ],
        "unclaimed": [{"path": path, "digest": _hex(digest)} for path, digest in sealed.unclaimed],
        "activation": [{"path": path, "digest": _hex(digest)} for path, digest in sealed.activation],
        "interpreter": _given(
            executable=str(build.executable) if build.executable else "",
            library=str(build.library) if build.library else "",
            executable_id=build.executable_id,
            library_id=build.library_id,
            compiler=build.compiler,
            compiled=build.compiled,
            configure=build.configure,
        ),
        "stdlib": _given(sources=_counted(sealed.stdlib_sources), built=_counted(sealed.stdlib_built)),
        "libc": sealed.libc,
        "native": [
            {"name": item.name, "digest": _hex(item.digest)} | _given(build_id=item.build_id, package=item.package)
            for item in sealed.libraries
        ],
        "cpu": _given(architecture=sealed.cpu.architecture, vendor=sealed.cpu.vendor, features=list(sealed.cpu.features)),
        "blas": [{"library": item.library, "path": item.path} | _given(kernel=item.kernel) for item in sealed.blas],
        "accelerators": [
            {"kind": item.kind, "name": item.name} | _given(driver=item.driver, capability=item.capability, memory=item.memory)
            for item in sealed.accelerators
        ],
        "settings": [{"name": name, "value": value} for name, value in sealed.settings],
        "unknown": list(sealed.unknown),
    }


def seal_document(
    environments: Iterable[SealedEnvironment], policy: Policy, waivers: Iterable[Waiver], canary: Canary | None
) -> dict[str, object]:
    """A seal's own plain values."""
    waivers = sorted(waivers, key=lambda waiver: waiver.id)
    document: dict[str, object] = {
        "schema": SEAL_SCHEMA,
        "policy": policy_document(policy) | {"digest": str(policy_digest(policy, waivers))},
        "waivers": [waiver_document(waiver) for waiver in waivers],
    }
    if canary is not None:
        document["canary"] = {
            "command": list(canary.command),
            "inputs": [{"path": path, "digest": str(digest)} for path, digest in canary.inputs],
            "output": str(canary.output),
            "timeout": canary.timeout,
        }
    document["environments"] = [
        _environment_document(sealed) for sealed in sorted(environments, key=lambda each: (each.platform, each.python))
    ]
    return document


def seal_of(
    path: str,
    environments: Iterable[SealedEnvironment],
    *,
    policy: Policy | None = None,
    waivers: Iterable[Waiver] = (),
    canary: Canary | None = None,
) -> Seal:
    """The seal of these *environments*, to be written at *path*."""
    policy = policy or Policy()
    waivers = tuple(sorted(waivers, key=lambda waiver: waiver.id))
    environments = tuple(sorted(environments, key=lambda each: (each.platform, each.python)))
    document = seal_document(environments, policy, waivers, canary)
    return Seal(
        path=path,
        digest=Digest.of_sha256(hashlib.sha256(canonical(document)).digest()),
        environments=environments,
        policy=policy,
        policy_digest=policy_digest(policy, waivers),
        waivers=waivers,
        canary=canary,
    )


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _block(value: object, key: str, depth: int) -> Iterator[str]:
    """The lines of a value under *key*; the first has no indentation."""
    pad = "  " * depth
    if isinstance(value, list) and value and (key in _LINED or key == "waivers"):
        yield "["
        for index, item in enumerate(value):
            yield f"{pad}  {_line(item)}" + ("," if index < len(value) - 1 else "")
        yield f"{pad}]"
    elif key == "environments" and isinstance(value, list) and value:
        yield "["
        for index, item in enumerate(value):
            lines = list(_table(item, depth + 1))
            yield f"{pad}  {lines[0]}"
            yield from lines[1:-1]
            yield lines[-1] + ("," if index < len(value) - 1 else "")
        yield f"{pad}]"
    elif isinstance(value, dict) and key in {"parts", "interpreter", "canary"}:
        yield from _table(value, depth)
    else:
        yield _line(value)


def _table(table: dict[str, object], depth: int) -> Iterator[str]:
    pad = "  " * depth
    yield "{"
    for index, (key, value) in enumerate(table.items()):
        lines = list(_block(value, key, depth + 1))
        lines[-1] += "," if index < len(table) - 1 else ""
        yield f"{pad}  {_line(key)}: {lines[0]}"
        yield from lines[1:]
    yield f"{pad}}}"


def format_seal(seal: Seal) -> str:
    """The text of *seal*, the same for the same seal, with one line a distribution."""
    return "\n".join(_table(seal_document(seal.environments, seal.policy, seal.waivers, seal.canary), 0)) + "\n"


# -- in ---------------------------------------------------------------------------------------------------------------------------


def load_json(data: bytes, path: str, *, noun: str, hint: str) -> dict[str, object]:
    """The object that *data* holds, without floats, and without keys that are given twice.

    Raises:
        DocumentError: it is no such object.
    """

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            raise ValueError(f"the key {twice!r} is given twice")
        return found

    def refuse(text: str) -> float:
        raise ValueError(f"{text[:40]} is no integer")

    if len(data) > _LARGEST:
        raise DocumentError(f"{noun}-too-large", f"it has more than {_LARGEST:,} bytes", where=path, hint=hint)
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_float=refuse, parse_constant=refuse)
        if b"\\u" in data:
            canonical(found)  # which refuses half a character, that no canonical text can hold
    except RecursionError:
        raise DocumentError(f"{noun}-syntax", "it is nested too deeply", where=path, hint=hint) from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are among these
        words = str(error)
        if b"<<<<<<<" in data and b">>>>>>>" in data:
            words = "it holds the marks of a merge conflict"
        raise DocumentError(f"{noun}-syntax", words[:300], where=path, hint=hint) from None
    if not isinstance(found, dict):
        raise DocumentError(f"{noun}-syntax", "it holds no object", where=path, hint=hint)
    return cast("dict[str, object]", found)


class _Seal:
    """The reading of one seal."""

    def __init__(self, path: str) -> None:
        self.reader = Reader(path, noun="seal", hint=_HINT)

    def bad(self, where: str, message: str) -> None:
        self.reader.fault("seal-bad-value", where, message)

    def table(
        self, table: dict[str, object], key: str, keys: frozenset[str], where: str, *, needed: bool = True
    ) -> dict[str, object]:
        get = self.reader.need if needed else self.reader.get
        found = cast("dict[str, object]", get(table, key, dict, {}, where))
        self.reader.only(found, keys, f"{where}.{key}" if where else key)
        return found

    def text(self, table: dict[str, object], key: str, where: str, *, needed: bool = False) -> str:
        return (self.reader.need if needed else self.reader.get)(table, key, str, "", where)

    def number(self, table: dict[str, object], key: str, where: str) -> int:
        value = self.reader.get(table, key, int, 0, where)
        if not 0 <= value <= MAX_SAFE_INTEGER:
            self.bad(f"{where}.{key}", "it is not from 0 to 2**53")
            return 0
        return value

    def digest(self, table: dict[str, object], key: str, where: str, *, needed: bool = False) -> Digest | None:
        text = self.text(table, key, where, needed=needed)
        if not text:
            if needed and key in table:
                self.bad(f"{where}.{key}", "it is empty")
            return None
        try:
            return Digest.parse(text)
        except ValueError as error:
            self.bad(f"{where}.{key}", str(error))
            return None

    def raw(self, table: dict[str, object], where: str) -> bytes:
        match = _HEX.fullmatch(self.text(table, "digest", where, needed=True))
        if match is None:
            self.bad(f"{where}.digest", "it is no sha256: and hex digits")
            return b""
        return bytes.fromhex(match[1])

    def content(self, table: dict[str, object], key: str, where: str) -> ContentDigest | None:
        text = self.text(table, key, where)
        if not text:
            return None
        try:
            return ContentDigest.parse(text)
        except ValueError as error:
            self.bad(f"{where}.{key}", str(error))
            return None

    def rows(self, table: dict[str, object], key: str, keys: set[str], where: str) -> Iterator[tuple[str, dict[str, object]]]:
        for place, row in self.reader.tables(table, key, where):
            self.reader.only(row, keys, place)
            yield place, row

    def distribution(self, row: dict[str, object], place: str) -> SealedDistribution:
        item = SealedDistribution(
            name=self.text(row, "name", place, needed=True),
            version=self.text(row, "version", place),
            content=self.content(row, "content", place),
            stated=self.content(row, "stated", place),
            artifact=self.digest(row, "artifact", place),
            origin=self.text(row, "origin", place),
            files=self.digest(row, "files", place),
        )
        if (item.content is None) is not (item.origin == "editable" or item.files is not None):
            self.bad(place, "it needs a content digest, unless it is editable or a package of the system")
        return item

    def counted(self, table: dict[str, object], key: str, where: str) -> tuple[int, Digest] | None:
        if key not in table:
            return None
        inner = self.table(table, key, frozenset({"files", "digest"}), where)
        digest = self.digest(inner, "digest", f"{where}.{key}", needed=True)
        return (self.number(inner, "files", f"{where}.{key}"), digest) if digest else None

    def build(self, table: dict[str, object], where: str) -> Build:
        keys = frozenset({"executable", "library", "executable_id", "library_id", "compiler", "compiled", "configure"})
        inner = self.table(table, "interpreter", keys, where)
        place = f"{where}.interpreter"
        return Build(
            executable=self.digest(inner, "executable", place),
            library=self.digest(inner, "library", place),
            executable_id=self.text(inner, "executable_id", place),
            library_id=self.text(inner, "library_id", place),
            compiler=self.text(inner, "compiler", place),
            compiled=self.text(inner, "compiled", place),
            configure=self.text(inner, "configure", place),
        )

    def hook(self, row: dict[str, object], place: str) -> Hook:
        kind = self.text(row, "kind", place, needed=True)
        if kind not in set(HookKind):
            self.bad(f"{place}.kind", f"{kind[:40]!r} is no kind of hook")
            kind = HookKind.PTH_CODE
        path = self.text(row, "path", place, needed=True)
        return Hook(HookKind(kind), path, self.raw(row, place), self.text(row, "effect", place))

    def lock(self, table: dict[str, object], where: str) -> SealedLock | None:
        if table.get("lock") is None:
            return None
        inner = self.table(table, "lock", frozenset({"path", "format", "digest"}), where)
        digest = self.digest(inner, "digest", f"{where}.lock", needed=True)
        if digest is None:
            return None
        path, kind = (self.text(inner, key, f"{where}.lock", needed=True) for key in ("path", "format"))
        return SealedLock(path=path, format=kind, digest=digest)

    def environment(self, table: dict[str, object], where: str) -> SealedEnvironment | None:
        self.reader.only(table, _ENVIRONMENT_KEYS, where)
        python = self.table(table, "python", frozenset({"implementation", "version", "abi"}), where)
        selection = self.table(table, "selection", frozenset({"groups", "extras", "members", "environment"}), where)
        stated = self.table(table, "parts", frozenset(PARTS), where)
        parts = tuple((name, self.digest(stated, name, f"{where}.parts", needed=True)) for name in PARTS)
        fingerprint = self.digest(table, "fingerprint", where, needed=True)
        cpu = self.table(table, "cpu", frozenset({"architecture", "vendor", "features"}), where)
        stdlib = self.table(table, "stdlib", frozenset({"sources", "built"}), where)
        place = f"{where}.selection"
        if fingerprint is None or any(digest is None for _, digest in parts):
            return None
        sealed = SealedEnvironment(
            platform=self.text(table, "platform", where, needed=True),
            implementation=self.text(python, "implementation", f"{where}.python", needed=True),
            version=self.text(python, "version", f"{where}.python", needed=True),
            abi=self.text(python, "abi", f"{where}.python"),
            selection=Selection(
                groups=self.reader.strings(selection, "groups", place),
                extras=self.reader.strings(selection, "extras", place),
                members=self.reader.strings(selection, "members", place),
                environment=self.text(selection, "environment", place),
            ),
            lock=self.lock(table, where),
            basis=self.text(table, "basis", where, needed=True),
            accepted=self.reader.strings(table, "accepted", where),
            fingerprint=fingerprint,
            parts=cast("tuple[tuple[str, Digest], ...]", parts),
            distributions=tuple(
                self.distribution(row, at) for at, row in self.rows(table, "distributions", _DISTRIBUTION_KEYS, where)
            ),
            startup=tuple(
                self.hook(row, at) for at, row in self.rows(table, "startup", {"kind", "path", "digest", "effect"}, where)
            ),
            unclaimed=self.paths(table, "unclaimed", where),
            activation=self.paths(table, "activation", where),
            build=self.build(table, where),
            stdlib_sources=self.counted(stdlib, "sources", f"{where}.stdlib"),
            stdlib_built=self.counted(stdlib, "built", f"{where}.stdlib"),
            libc=self.text(table, "libc", where),
            libraries=tuple(
                NativeLibrary(
                    self.text(row, "name", at, needed=True),
                    self.raw(row, at),
                    self.text(row, "build_id", at),
                    self.text(row, "package", at),
                )
                for at, row in self.rows(table, "native", {"name", "digest", "build_id", "package"}, where)
            ),
            cpu=Cpu(
                architecture=self.text(cpu, "architecture", f"{where}.cpu"),
                vendor=self.text(cpu, "vendor", f"{where}.cpu"),
                features=self.reader.strings(cpu, "features", f"{where}.cpu"),
            ),
            blas=tuple(
                Blas(self.text(row, "library", at), self.text(row, "path", at), self.text(row, "kernel", at))
                for at, row in self.rows(table, "blas", {"library", "path", "kernel"}, where)
            ),
            accelerators=tuple(
                Accelerator(
                    self.text(row, "kind", at),
                    self.text(row, "name", at),
                    self.text(row, "driver", at),
                    self.text(row, "capability", at),
                    self.number(row, "memory", at),
                )
                for at, row in self.rows(table, "accelerators", {"kind", "name", "driver", "capability", "memory"}, where)
            ),
            settings=tuple(
                (self.text(row, "name", at), self.text(row, "value", at))
                for at, row in self.rows(table, "settings", {"name", "value"}, where)
            ),
            unknown=self.reader.strings(table, "unknown", where),
        )
        self.agree(sealed, where)
        return sealed

    def paths(self, table: dict[str, object], key: str, where: str) -> tuple[tuple[str, bytes], ...]:
        return tuple(
            (self.text(row, "path", at, needed=True), self.raw(row, at))
            for at, row in self.rows(table, key, {"path", "digest"}, where)
        )

    def agree(self, sealed: SealedEnvironment, where: str) -> None:
        """Compute again what the environment's own rows say of its parts."""
        if self.reader.issues:
            return  # what could not be read has no digest
        machine = sealed.platform.split("-")[1] if sealed.platform.count("-") > 1 else ""
        lines = Counter((item.name, item.version) for item in sealed.distributions)
        for name in sorted({name for (name, _), count in lines.items() if count > 1}):
            self.bad(f"{where}.distributions", f"{name} is given twice")
        computed = {
            "distributions": part_digest(
                sorted(distribution_row(item.name, item.version, item.content, item.files) for item in sealed.distributions)
            ),
            "interpreter": part_digest([sealed.implementation, sealed.version, sealed.abi, machine]),
            "startup": part_digest(sorted(hook_row(hook) for hook in sealed.startup)),
            "unclaimed": part_digest(sorted([path, _hex(digest)] for path, digest in sealed.unclaimed)),
        }
        for name, digest in sealed.parts:
            if computed[name] != digest:
                self.reader.fault("seal-contradictory", f"{where}.parts.{name}", f"its own rows have the digest {computed[name]}")
        if whole(sealed.parts) != sealed.fingerprint:
            self.reader.fault("seal-contradictory", f"{where}.fingerprint", f"its own parts have the digest {whole(sealed.parts)}")

    def canary(self, document: dict[str, object]) -> Canary | None:
        if document.get("canary") is None:
            return None
        table = self.table(document, "canary", frozenset({"command", "inputs", "output", "timeout"}), "")
        output = self.digest(table, "output", "canary", needed=True)
        command = self.reader.strings(table, "command", "canary")
        if not command:
            self.bad("canary.command", "it is empty")
        inputs = tuple(
            (self.text(row, "path", at, needed=True), self.digest(row, "digest", at, needed=True))
            for at, row in self.rows(table, "inputs", {"path", "digest"}, "canary")
        )
        for index, (path, _) in enumerate(inputs):
            if not Canary.is_below(path):
                self.bad(f"canary.inputs[{index}].path", "it is no path below the seal's folder")
        timeout = self.number(table, "timeout", "canary") or 60
        if output is None or any(digest is None for _, digest in inputs):
            return None
        return Canary(command=command, inputs=cast("tuple[tuple[str, Digest], ...]", inputs), output=output, timeout=timeout)


_ENVIRONMENT_KEYS: Final = frozenset(
    {
        "platform",
        "python",
        "lock",
        "selection",
        "basis",
        "accepted",
        "fingerprint",
        "parts",
        "distributions",
        "startup",
        "unclaimed",
        "activation",
        "interpreter",
        "stdlib",
        "libc",
        "native",
        "cpu",
        "blas",
        "accelerators",
        "settings",
        "unknown",
    }
)
_DISTRIBUTION_KEYS: Final = {"name", "version", "content", "stated", "artifact", "origin", "files"}


def parse_seal(data: bytes, path: str) -> Seal:
    """The seal that *data*, read from *path*, states.

    Raises:
        DocumentError: it is no seal, one of another version, or one that contradicts itself.
    """
    document = load_json(data, path, noun="seal", hint=_HINT)
    schema = document.get("schema")
    if schema != SEAL_SCHEMA:
        known = isinstance(schema, str) and schema.startswith("sanctity.seal/")
        words = f"its schema is {schema!r}, and this version reads {SEAL_SCHEMA}" if known else "it is no seal"
        raise DocumentError("seal-version-unsupported" if known else "seal-syntax", words[:200], where=path, hint=_HINT)
    reading = _Seal(path)
    reader = reading.reader
    reader.only(document, frozenset({"schema", "policy", "waivers", "canary", "environments"}), "")
    stated = dict(cast("dict[str, Any]", reader.need(document, "policy", dict, {}, "")))
    digest = reading.digest(stated, "digest", "policy", needed=True)
    stated.pop("digest", None)
    policy = read_policy(reader, stated, "policy")
    waivers = tuple(read_waiver(reader, row, place) for place, row in reader.tables(document, "waivers", ""))
    if digest is not None and not reader.issues and policy_digest(policy, waivers) != digest:
        reader.fault("seal-contradictory", "policy.digest", f"policy and waivers have the digest {policy_digest(policy, waivers)}")
    canary = reading.canary(document)
    found = [reading.environment(row, place) for place, row in reader.tables(document, "environments", "")]
    environments = [sealed for sealed in found if sealed is not None]
    keys = [(sealed.platform, sealed.python) for sealed in environments]
    if len(set(keys)) < len(keys):
        reading.bad("environments", "two of them are for the same platform and Python")
    if not environments:
        reading.bad("environments", "it holds no environment")
    reader.finish()
    return seal_of(path, environments, policy=policy, waivers=waivers, canary=canary)
