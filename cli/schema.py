"""`hardcut schema`: the JSON Schema of the records."""

from __future__ import annotations

import difflib
import json

from hardcut.schemas.catalogue import json_schemas
from hardcut.schemas.errors import UsageError


def print_schema(record: str | None) -> None:
    """Prints one record's schema, or an object of all. Raises UsageError for a name that is none."""
    schemas = json_schemas()
    if record is None:
        print(json.dumps(schemas, indent=2, ensure_ascii=False))
        return
    if record not in schemas:
        close = difflib.get_close_matches(record, schemas, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"there is no record {record!r}; {hint}there are: {', '.join(schemas)}")
    print(json.dumps(schemas[record], indent=2, ensure_ascii=False))
