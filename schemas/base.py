"""The base of all records and settings: frozen and typed. Unknown keys are refused."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from hardcut.schemas.ids import content_id


class Frozen(BaseModel):
    """A frozen value without an id: a part of a record, or a group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="strings")


class Record(Frozen):
    """One line of one of a run's files.

    A subclass names its file and the field of its id. If the id is a digest of content, the subclass also names the
    prefix and the fields that the digest covers (`IDENTITY`). Fields about provenance that can change while the record
    stays the same are not among them.
    """

    FILE: ClassVar[str]
    ID: ClassVar[str]
    PREFIX: ClassVar[str] = ""
    IDENTITY: ClassVar[tuple[str, ...]] = ()

    schema_version: int = 1

    @property
    def id(self) -> str:
        """The record's id. Each kind of record has its own field for it."""
        value: str = getattr(self, self.ID)
        return value

    @property
    def about(self) -> str:
        """The id of the video that the record is about; empty where there is none."""
        value: str | None = getattr(self, "video_id", None)
        return value or ""

    @classmethod
    def create(cls, **fields: Any) -> Self:
        """Makes a record and its id. Only for records whose id is a digest of their content."""
        draft = cls.model_validate({**fields, cls.ID: "new"})
        content = draft.model_dump(mode="json", include=set(cls.IDENTITY))
        return draft.model_copy(update={cls.ID: content_id(cls.PREFIX, content)})

    @model_validator(mode="after")
    def _known_version(self) -> Self:
        if self.schema_version != 1:
            raise ValueError(f"schema_version {self.schema_version} is newer than this Hardcut reads (1): upgrade it")
        return self
