"""A whole environment on values, with a platform under it, and its seal: tests change one thing and look at what is told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from factories import an_environment, an_interpreter
from sanctity.canon.content import content_digest
from sanctity.compare.records import compare_with_records, fingerprint_of
from sanctity.compare.seal import compare_with_seal
from sanctity.model.digest import Digest
from sanctity.model.drift import Comparison, Depth, Drift, Reference, ReferenceKind
from sanctity.model.environment import Distribution, Environment, FileEntry, FileKind, Hook, HookKind, RecordRow
from sanctity.model.names import SEEDS
from sanctity.model.platform import Accelerator, Blas, Build, Cpu, NativeLibrary, Platform, StandardLibrary
from sanctity.seals.make import seal_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.seal import SealedEnvironment

__all__ = ["PLATFORM", "SITE", "WHOLE", "a_hook", "compared", "gating", "installed", "on_platform", "raw", "sealed", "with_files"]

SITE = "lib/python3.11/site-packages"


def raw(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


PLATFORM = Platform(
    build=Build(
        executable=Digest.of_sha256(raw("python")),
        library=Digest.of_sha256(raw("libpython")),
        executable_id="aa",
        library_id="bb",
        compiler="GCC 12.2.0",
        compiled="Nov 23 2026, 12:00:00",
        configure="'--enable-shared'",
    ),
    stdlib=StandardLibrary(
        sources=(("json/decoder.py", raw("decoder")), ("random.py", raw("random"))),
        built=(("lib-dynload/_ssl.so", raw("_ssl")),),
    ),
    libc="glibc 2.36",
    libraries=(
        NativeLibrary("libc.so.6", raw("libc"), "c1", "libc6 2.36-9", "/lib/libc.so.6", "bin/python"),
        NativeLibrary("libm.so.6", raw("libm"), "c2", "libc6 2.36-9", "/lib/libm.so.6", "numpy/core.so"),
    ),
    cpu=Cpu(architecture="x86_64", vendor="AuthenticAMD", features=("avx", "avx2")),
    blas=(Blas("openblas 0.3.27", "numpy.libs/libopenblas.so", "Haswell"),),
    accelerators=(Accelerator("cuda", "H100", "550.54", "9.0", 80_000_000_000),),
    settings=(("OMP_NUM_THREADS", "2"),),
)


def installed(name: str, version: str, files: Mapping[str, str], **fields: object) -> tuple[Distribution, dict[str, FileEntry]]:
    """A distribution whose RECORD states its *files* (path in site-packages to text), and these files as they are found."""
    home = f"{SITE}/{name}-{version}.dist-info"
    entries = {
        f"{SITE}/{path}": FileEntry(f"{SITE}/{path}", FileKind.FILE, len(text), raw(text), 1, 1) for path, text in files.items()
    }
    content = content_digest([], lib=[(path, raw(text)) for path, text in files.items()])
    record = tuple(RecordRow(entry.path, "sha256", entry.digest, entry.size) for entry in entries.values())
    item = Distribution(
        key=name,
        name=name,
        version=version,
        home=home,
        installer="uv",
        record=record,
        content=content,
        stated=content,
        rows=tuple(sorted((f"lib/{path}", f"sha256:{raw(text).hex()}") for path, text in files.items())),
        **fields,  # type: ignore[arg-type]
    )
    return item, entries


def a_hook(path: str = "hook.pth", text: str = "import os", kind: HookKind = HookKind.PTH_CODE) -> Hook:
    return Hook(kind, f"{SITE}/{path}", raw(text), text)


def with_files(*parts: tuple[Distribution, dict[str, FileEntry]], **fields: object) -> Environment:
    """An environment of these distributions and their files, on `PLATFORM`."""
    files = {path: entry for _, entries in parts for path, entry in entries.items()}
    extra = fields.pop("files", {})
    assert isinstance(extra, dict)
    interpreter = an_interpreter(libc="glibc", executable="/usr/bin/python3.11", base="/usr")
    return an_environment(
        *(item for item, _ in parts),
        **{
            "files": files | extra,
            "interpreter": interpreter,
            "platform": PLATFORM,
            "activation": (("bin/activate", raw("activate")),),
            **fields,
        },
    )


WHOLE = with_files(
    installed("six", "1.16.0", {"six.py": "code"}),
    installed("numpy", "2.0.0", {"numpy/__init__.py": "init", "numpy/core.so": "native"}),
)


def sealed(environment: Environment = WHOLE, *, accept: bool = False, seeds: frozenset[str] = SEEDS) -> SealedEnvironment:
    """What a seal says of *environment*; *accept* seals its drifts."""
    found = fingerprint_of(environment, seeds)
    assert found is not None
    comparison = compare_with_records(environment, depth=Depth.RECORD)
    assert accept or not any(drift.gating for drift in comparison.drifts)
    return seal_environment(environment, found, seeds=seeds, comparison=comparison)


def compared(environment: Environment, against: SealedEnvironment | None = None, **options: object) -> Comparison:
    """*environment* compared with a seal, by default the one of `WHOLE`."""
    reference = Reference(kind=ReferenceKind.SEAL, path="env.seal.json", digest="sha256:" + "0" * 64)
    whole = {"depth": Depth.RECORD, "reference": reference, **options}
    return compare_with_seal(environment, against or sealed(), **whole)  # type: ignore[arg-type]


def gating(comparison: Comparison) -> list[Drift]:
    return [drift for drift in comparison.drifts if drift.gating]


def on_platform(environment: Environment = WHOLE, **fields: object) -> Environment:
    """*environment* on a platform that differs in these *fields*."""
    return replace(environment, platform=replace(PLATFORM, **fields))  # type: ignore[arg-type]
