"""What a teacher is called: one name for books, keys and reports, however its address was written."""

from __future__ import annotations

from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.records import TeacherRef


def book_name(teacher: TeacherRef) -> str:
    """The teacher's name in a run's books, in calibrations and in reports."""
    return canonical_name(f"{teacher.backend}:{teacher.model}" + (f"@{teacher.endpoint}" if teacher.endpoint else ""))
