"""`hardcut schema`: the JSON Schema of the records."""

from __future__ import annotations

import json

from hardcut.schemas.catalogue import json_schemas
from hardcut.schemas.errors import UsageError
from hardcut.schemas.names import suggestion


def print_schema(record: str | None) -> None:
    """Prints one record's schema, or an object of all. Raises UsageError for a name that is none."""
    schemas = json_schemas()
    if record is None:
        print(json.dumps(schemas, indent=2, ensure_ascii=False))
        return
    if record not in schemas:
        raise UsageError(f"there is no record {record!r}; {suggestion(record, schemas, cutoff=0.4)}")
    print(json.dumps(schemas[record], indent=2, ensure_ascii=False))
