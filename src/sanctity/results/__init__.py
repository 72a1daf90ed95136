"""Results that programs write, read to be compared: bytes in, leaves out. Nothing that a file says is ever executed.

One module a format; `read` tells which by the file's first bytes, and by its name where those say nothing. NumPy is imported where
arrays are, pyarrow and Pillow where their formats are. Numbers keep their bits; what a format writes beside them (times, an
archive's name, the order of keys) is kept apart as its container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.result import Result

__all__ = ["FORMATS", "format_of", "formats_of", "read"]


def _array(data: memoryview) -> Result:
    from sanctity.results.arrays import read_npy

    return read_npy(data)


def _arrays(data: memoryview) -> Result:
    from sanctity.results.arrays import read_npz

    return read_npz(data)


def _safetensors(data: memoryview) -> Result:
    from sanctity.results.safetensors import read_safetensors

    return read_safetensors(data)


def _checkpoint(data: memoryview) -> Result:
    from sanctity.results.checkpoint import read_checkpoint

    return read_checkpoint(data)


def _pickle(data: memoryview) -> Result:
    from sanctity.results.pickled import read_pickle

    return read_pickle(data)


def _parquet(data: memoryview) -> Result:
    from sanctity.results.columns import read_parquet

    return read_parquet(data)


def _arrow(data: memoryview) -> Result:
    from sanctity.results.columns import read_arrow

    return read_arrow(data)


def _json(data: memoryview) -> Result:
    from sanctity.results.texts import read_json

    return read_json(data)


def _json_lines(data: memoryview) -> Result:
    from sanctity.results.texts import read_json_lines

    return read_json_lines(data)


def _csv(data: memoryview) -> Result:
    from sanctity.results.texts import read_table

    return read_table(data, ",")


def _tsv(data: memoryview) -> Result:
    from sanctity.results.texts import read_table

    return read_table(data, "\t")


def _text(data: memoryview) -> Result:
    from sanctity.results.texts import read_text

    return read_text(data)


def _image(data: memoryview) -> Result:
    from sanctity.results.pictures import read_image

    return read_image(data)


#: Each format and who reads it.
FORMATS: Final[dict[str, Callable[[memoryview], Result]]] = {
    "npy": _array,
    "npz": _arrays,
    "safetensors": _safetensors,
    "pt": _checkpoint,
    "pickle": _pickle,
    "parquet": _parquet,
    "arrow": _arrow,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "tsv": _tsv,
    "text": _text,
    "image": _image,
}

_BY_START: Final = (
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"FEA1", "arrow"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
)
_BY_NAME: Final = {
    "npy": "npy",
    "npz": "npz",
    "safetensors": "safetensors",
    "pt": "pt",
    "pth": "pt",
    "ckpt": "pt",
    "pkl": "pickle",
    "pickle": "pickle",
    "joblib": "pickle",
    "parquet": "parquet",
    "pq": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
    "json": "json",
    "ipynb": "json",
    "geojson": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "tsv": "tsv",
    "bmp": "image",
    "gif": "image",
    "jpeg": "image",
    "jpg": "image",
    "png": "image",
    "ppm": "image",
    "tif": "image",
    "tiff": "image",
    "webp": "image",
}
_ZIP: Final = b"PK\x03\x04"
#: How much of a file is looked at to tell whether it is text.
_HEAD: Final = 64 * 1024


def format_of(name: str, data: memoryview) -> str:
    """The format of the file called *name* with these bytes: a key of `FORMATS`, or empty where it is none that is known."""
    start = bytes(data[:8])
    for magic, format_ in _BY_START:
        if start.startswith(magic):
            return format_
    named = _named(name)
    if start.startswith(_ZIP):
        return named if named in {"npz", "pt"} else _kind_of_zip(data)
    if named:
        return named
    return "text" if _is_text(data) else ""


def formats_of(names: tuple[str, str], data: tuple[memoryview, memoryview]) -> tuple[str, str]:
    """The formats of two files that are compared: one whose name says nothing is held to be called as the other."""
    one, two = names
    told = _named(one), _named(two)
    return format_of(one if told[0] else two, data[0]), format_of(two if told[1] else one, data[1])


def _named(name: str) -> str:
    return _BY_NAME.get(name.rpartition(".")[2].lower(), "") if "." in name else ""


def _kind_of_zip(data: memoryview) -> str:
    """What an archive without a telling name is: ``torch.save`` and ``numpy.savez`` are known by their members."""
    from sanctity.results.archive import members

    try:
        names = [member.name for member in members(data)]
    except DocumentError:
        return ""
    if any(name.endswith("/data.pkl") for name in names):
        return "pt"
    return "npz" if names and all(name.endswith(".npy") for name in names) else ""


def _is_text(data: memoryview) -> bool:
    head = bytes(data[:_HEAD])
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(data) > _HEAD and error.start > _HEAD - 4
    return True


def read(format_: str, data: memoryview) -> Result:
    """The leaves of a file of a format of `FORMATS` with these bytes.

    Raises:
        DocumentError: ``result-invalid``, the bytes are not what the format asks for; ``result-too-large``, it would unpack to more
            than is looked at; ``result-needs-library``, what reads it is not installed.
    """
    try:
        return FORMATS[format_](data)
    except RecursionError as error:
        raise DocumentError("result-invalid", f"it is nested too deeply to be {format_}", hint="write it again") from error
    except MemoryError as error:
        raise DocumentError("result-too-large", f"there is no memory to read it as {format_}") from error
