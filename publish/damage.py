"""What is wrong with a column of a dataset's tables. Pure functions over Arrow arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardcut.publish.columns import COLUMNS, Nullable

if TYPE_CHECKING:
    import pyarrow as pa


def damage(config: str, name: str, values: pa.Array) -> str | None:
    """What is wrong with a column of an Arrow table, in words: another type, a missing value where there is always one,
    a number that is none. None where nothing is, and for a column that is not ours."""
    kind = COLUMNS.get(config, {}).get(name)
    return None if kind is None else _damage(kind, values)


def _damage(kind: Any, values: pa.Array) -> str | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    arrow, optional = values.type, isinstance(kind, Nullable) or (isinstance(kind, str) and kind.endswith("?"))
    if pa.types.is_null(arrow) and optional:
        return None
    if not _fits(kind, arrow):
        return f"is {arrow}"
    if values.null_count and not optional:
        return f"has {values.null_count:,} missing values"
    if pa.types.is_floating(arrow) and pc.any(pc.invert(pc.is_finite(values))).as_py():
        return "has a number that is not finite"
    if isinstance(kind, list):
        return _damage(kind[0], values.flatten())
    if isinstance(kind, dict):
        for place, field in enumerate(arrow):
            inner = values.flatten()[place].filter(values.is_valid()) if values.null_count else values.field(place)
            found = _damage(kind[field.name], inner) if field.name in kind else None
            if found is not None:
                return f"{found} in {field.name!r}"
    return None


def _fits(kind: Any, arrow: pa.DataType) -> bool:
    """Whether a column of this type can be what we wrote; widths may differ."""
    import pyarrow as pa

    if isinstance(kind, list):
        return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow))
    if isinstance(kind, dict):
        return bool(pa.types.is_struct(arrow)) and set(kind) <= {field.name for field in arrow}
    tests = {
        "string": (pa.types.is_string, pa.types.is_large_string),
        "float": (pa.types.is_floating,),
        "int": (pa.types.is_integer,),
        "bool": (pa.types.is_boolean,),
        "video": (pa.types.is_struct,),
    }
    return any(test(arrow) for test in tests[kind.rstrip("?").rstrip("0123456789")])
