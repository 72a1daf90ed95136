"""Parquet and Arrow files, by pyarrow: each column a leaf, its nulls another.

Source: Apache Parquet and Arrow columnar format. Row groups, pages, compression and dictionaries are the container's; types,
values and which of them are null are the file's.
"""

from __future__ import annotations

from typing import Any, Final

from sanctity.model.result import Cells, Leaf, Result, Scalar
from sanctity.results.arrays import array_leaves, numpy_module
from sanctity.results.errors import invalid, needs, too_large

__all__ = ["read_arrow", "read_parquet"]

#: Cells of a table, and the bytes it unpacks to, that are looked at; and how many rows are unpacked at a time.
_MOST_CELLS: Final = 1_000_000_000
_MOST_BYTES: Final = 8 << 30
_ROWS: Final = 16_384


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise needs("pyarrow", "Parquet and Arrow") from error
    return pa


def read_parquet(data: memoryview) -> Result:
    """The columns of a Parquet file."""
    pa = _pyarrow()
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)))
        container = (
            ("row groups", str(file.metadata.num_row_groups)),
            ("written by", str(file.metadata.created_by)),
            ("version", str(file.metadata.format_version)),
        )
        cells = file.metadata.num_rows * max(1, file.metadata.num_columns)
        if cells > _MOST_CELLS:
            raise too_large(f"it has {cells:,} cells")
        parts, size = [], 0
        for part in file.iter_batches(batch_size=_ROWS):
            size += part.nbytes
            if size > _MOST_BYTES:
                raise too_large(f"it unpacks to more than {_MOST_BYTES >> 30} GiB")
            parts.append(part)
        table = pa.Table.from_batches(parts, file.schema_arrow)
        table.validate(full=True)
        return _of_table(table, "parquet", container)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise invalid(f"it can not be read: {error}"[:300]) from error


def read_arrow(data: memoryview) -> Result:
    """The columns of an Arrow IPC file (Feather version 2), or of Feather version 1."""
    pa = _pyarrow()
    from pyarrow import feather

    try:
        table = feather.read_table(pa.BufferReader(pa.py_buffer(data)), memory_map=False)
        table.validate(full=True)
        return _of_table(table, "arrow", ())
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise invalid(f"it can not be read: {error}"[:300]) from error


def _of_table(table: Any, format_: str, container: tuple[tuple[str, str], ...]) -> Result:
    leaves: list[Leaf] = [Leaf(path="rows", value=Scalar(kind="rows", value=table.num_rows))]
    names: dict[str, int] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        number = names[field.name] = names.get(field.name, 0) + 1
        path = field.name if number == 1 else f"{field.name} ({number})"
        leaves += _column(path, column)
    dictionaries = ", ".join(field.name for field in table.schema if _pyarrow().types.is_dictionary(field.type))
    metadata = tuple(
        (f"metadata {key.decode('utf-8', 'replace')}", value.decode("utf-8", "replace"))
        for key, value in sorted((table.schema.metadata or {}).items())
    )
    return Result(format=format_, leaves=tuple(leaves), container=(*container, ("dictionaries", dictionaries), *metadata))


def _column(path: str, column: Any) -> list[Leaf]:
    pa, np = _pyarrow(), numpy_module()
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    leaves = [Leaf(path=f"{path}:type", value=Scalar(kind="type", value=str(kind)))]
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    if array.null_count:
        valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
        leaves += array_leaves(f"{path}:valid", valid)
        array = array.drop_null()
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        leaves += array_leaves(path, array.to_numpy(zero_copy_only=False))
    elif types.is_temporal(kind) and not types.is_interval(kind):
        wide = pa.int64() if kind.bit_width == 64 else pa.int32()
        leaves += array_leaves(path, array.view(wide).to_numpy(zero_copy_only=False))
    elif (types.is_list(kind) or types.is_large_list(kind)) and types.is_primitive(kind.value_type):
        leaves += array_leaves(f"{path}:offsets", np.diff(array.offsets.to_numpy()))
        leaves += [leaf for leaf in _column(f"{path}[]", array.flatten()) if not leaf.path.endswith(":type")]
    else:
        leaves.append(Leaf(path=path, value=Cells(cells=tuple(map(repr, array.to_pylist())))))
    return leaves
