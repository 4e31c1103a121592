"""What a run was made with, beside its settings, and what of a run a dataset carries so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from hardcut.schemas.base import Frozen
from hardcut.schemas.ids import digest
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import Id, Video
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings

OURS = "hardcut"
"""What the prompts that come with Hardcut are called, where others have the name of a folder."""


class Environment(Frozen):
    """Versions: of Hardcut, of Python, and of the libraries that a run with its settings needs."""

    hardcut: str
    python: str
    libraries: Mapping[str, str] = Field(default_factory=dict)

    def flat(self) -> dict[str, str]:
        """All versions by name."""
        return {"hardcut": self.hardcut, "python": self.python, **self.libraries}


class GivenFile(Frozen):
    """A file that somebody gave a run: its name without folders, and its content's digest."""

    name: str
    sha256: str


class MadeWith(Frozen):
    """What a run was made with: `environments` of all starts that had work to do, the latest last; the files that the
    user gave, by setting (`queries`, ...); the prompts in force, by folder and name."""

    FILE: ClassVar[str] = "made_with.json"

    environments: tuple[Environment, ...]
    inputs: Mapping[str, GivenFile] = Field(default_factory=dict)
    prompts: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)


class MadeVideo(Frozen):
    """A video of a run by content. `metadata` is a digest of what is written beside it, `subtitles` are digests of
    files by path."""

    video_id: Id
    path: str
    sha256: str
    metadata: str
    subtitles: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, video: Video) -> MadeVideo:
        """The video of a record."""
        subtitles = {each.path: each.sha256 for each in video.subtitles}
        return cls(
            video_id=video.video_id, path=video.path, sha256=video.sha256, metadata=digest(video.metadata),
            subtitles=subtitles,
        )  # fmt: skip


class Recipe(Frozen):
    """All that a dataset carries about its run. `settings` are those of the run without folders, addresses of servers
    and names of variables. `environments` is empty, and `prompts` too, where the run is of a version that did not note
    them."""

    settings: dict[str, Any]
    environments: tuple[Environment, ...] = ()
    inputs: Mapping[str, GivenFile] = Field(default_factory=dict)
    prompts: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    videos: tuple[MadeVideo, ...] = Field(default=(), repr=False)
    kept: tuple[KeptPair, ...] = Field(default=(), repr=False)


def all_teachers(settings: Settings) -> tuple[TeacherSettings, ...]:
    """Every teacher that the settings have, asked or not."""
    return (settings.teacher, *settings.teachers.values(), *settings.scores.teachers)


def prompt_folders(settings: Settings) -> Mapping[str | None, str]:
    """What the folders of prompts are called in a recipe, by the path in the settings; None: the prompts that come
    with Hardcut."""
    paths = dict.fromkeys(each.prompts for each in all_teachers(settings) if each.prompts)
    return {None: OURS, **{path: f"prompts{number}" for number, path in enumerate(paths, 1)}}
