"""What a run wants of a teacher, role by role. A backend says before the first call what it cannot do."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import Role, TeacherSettings
from hardcut.teacher.protocol import Request, Task

_ROLES: dict[Task, Role] = {
    "caption": "captions",
    "check": "check",
    "refine": "check",
    "queries": "queries",
    "compose": "queries",
    "paraphrase": "queries",
    "translate": "queries",
    "same": "queries",
    "contrast": "queries",
    "decompose": "queries",
    "counterfactual": "counterfactuals",
    "judge": "judges",
}


class Need(NamedTuple):
    """A role of a teacher, and whether pictures are shown to it there. For a task that is not ours the role is the
    task's own name."""

    role: str
    pictures: bool

    @property
    def judges(self) -> bool:
        """Whether yes or no is asked for, with its log-probabilities."""
        return self.role == "judges"


def needs_of(settings: Settings, teacher: TeacherSettings, roles: Collection[Role]) -> frozenset[Need]:
    """What a teacher is to do of these roles: frames are shown to it unless it has none."""
    return frozenset(
        Need(role, teacher.sampling.max_frames > 0) for role in settings.roles_of(teacher) if role in roles
    )


def need_of(request: Request) -> Need:
    """What one request needs."""
    return Need(_ROLES.get(request.task, request.task), bool(request.frames or request.reference))
