"""Argilla's third search engine: answers out of the server's own SQLite database.

Nothing is mirrored: records, responses and suggestions are read live, so what keeps an index up to date has nothing to
do, and an index cannot fall behind after a crash. Ten thousand records are scanned in some tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from argilla_server.database import async_engine
from argilla_server.enums import MetadataPropertyType, ResponseStatus, SimilarityOrder
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Dataset, MetadataProperty, Record, Response, Suggestion, User, VectorSettings
from argilla_server.search_engine.base import (
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    Order,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    TermsMetrics,
    TextQuery,
)
from argilla_server.settings import settings
from sqlalchemy import ColumnElement, and_, exists, func, literal_column, not_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from hardcut.annotate.embedded.inside.conditions import condition, json_values, order, words

# Connections of its own: a request that searches holds one of the server's already, and sixteen such requests would
# otherwise wait for each other.
reader = create_async_engine(async_engine.url, **settings.database_engine_args)
_session: async_sessionmaker[AsyncSession] = async_sessionmaker(reader)


class SqliteSearch(SearchEngine):  # type: ignore[misc]
    """Signatures are those of `argilla_server.search_engine.base.SearchEngine`."""

    @classmethod
    async def new_instance(cls) -> SqliteSearch:
        return cls()

    async def close(self) -> None:
        """Nothing is held open."""

    async def ping(self) -> bool:
        async with _session() as db:
            return bool(await db.scalar(select(func.json_valid("{}"))))

    async def info(self) -> dict[str, Any]:
        async with _session() as db:
            return {"name": "embedded", "backend": "sqlite", "version": {"number": await db.scalar(_VERSION)}}

    # The SQL tables are the index.

    async def create_index(self, dataset: Dataset) -> None: ...

    async def delete_index(self, dataset: Dataset) -> None: ...

    async def configure_metadata_property(self, dataset: Dataset, metadata_property: MetadataProperty) -> None: ...

    async def configure_index_vectors(self, vector_settings: VectorSettings) -> None: ...

    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None: ...

    async def partial_record_update(self, record: Record, **update: Any) -> None: ...

    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None: ...

    async def update_record_response(self, response: Response) -> None: ...

    async def delete_record_response(self, response: Response) -> None: ...

    async def update_record_suggestion(self, suggestion: Suggestion) -> None: ...

    async def delete_record_suggestion(self, suggestion: Suggestion) -> None: ...

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        return await _counts(select(Record.status, func.count()).where(Record.dataset_id == dataset.id), Record.status)

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        if dataset.is_draft:
            return {}
        mine = select(Response.status, func.count()).join(Record, Record.id == Response.record_id)
        where = and_(Record.dataset_id == dataset.id, Response.user_id == user.id)
        return await _counts(mine.where(where), Response.status)

    async def search(
        self,
        dataset: Dataset,
        query: TextQuery | str | None = None,
        filter: Any = None,
        sort: list[Order] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: Any = None,
    ) -> SearchResponses:
        """A page of the records that fit, and how many do.

        In the order asked for. A reviewer (`user_id`) gets none of the conflicts that they are a part of. Without an
        order, a reviewer gets first what others have begun and then an
        order of their own, and everybody else the order of arrival.
        """
        where = [Record.dataset_id == dataset.id]
        if user_id is not None:
            where.append(_for(user_id))
        if query is not None:
            where.append(words(query if isinstance(query, TextQuery) else TextQuery(q=query)))
        if filter is not None:
            where.append(condition(filter))
        found = select(Record.id).where(*where)
        by: list[ColumnElement[Any]] = [order(one) for one in sort or []]
        if user_id is not None and not by:
            started = _submitted(dataset)
            found = found.outerjoin(started, started.c.record_id == Record.id)
            by = [func.coalesce(started.c.answers, 0).desc(), _own_order(user_id)]
        async with _session() as db:
            total = await db.scalar(select(func.count()).select_from(Record).where(*where))
            ids = await db.scalars(found.order_by(*by, Record.inserted_at, Record.id).offset(offset).limit(limit))
            items = [SearchResponseItem(record_id=one, score=1.0) for one in ids]
        return SearchResponses(items=items, total=total)

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> Any:
        values = json_values(Record.metadata_, metadata_property.name)
        where = and_(Record.dataset_id == metadata_property.dataset_id, values.c.value.is_not(None))
        table = Record.__table__.join(values, true())
        async with _session() as db:
            if metadata_property.type == MetadataPropertyType.terms:
                count = func.count().label("n")
                rows = await db.execute(
                    select(values.c.value, count)
                    .select_from(table)
                    .where(where)
                    .group_by(values.c.value)
                    .order_by(count.desc(), values.c.value)
                )
                terms = [TermsMetrics.TermCount(term=str(term), count=n) for term, n in rows]
                return TermsMetrics(total=sum(term.count for term in terms), values=terms)
            ends = select(func.min(values.c.value), func.max(values.c.value)).select_from(table).where(where)
            low, high = (await db.execute(ends)).one()
        if metadata_property.type == MetadataPropertyType.integer:
            return IntegerMetadataMetrics(min=low, max=high)
        return FloatMetadataMetrics(min=low, max=high)

    async def similarity_search(
        self,
        dataset: Dataset,
        vector_settings: VectorSettings,
        value: list[float] | None = None,
        record: Record | None = None,
        query: TextQuery | str | None = None,
        filter: Any = None,
        max_results: int = 100,
        order: SimilarityOrder = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        raise UnprocessableEntityError(
            "the embedded server has no search by vectors; an Argilla with Elasticsearch does"
        )


def register() -> None:
    """Makes it the engine called `embedded`."""
    SearchEngine.register("embedded")(SqliteSearch)


_VERSION = select(func.sqlite_version())


async def _counts(stmt: Any, status: Any) -> dict[str, int]:
    async with _session() as db:
        rows = (await db.execute(stmt.group_by(status))).all()
    return {"total": sum(n for _, n in rows), **{one.value: n for one, n in rows}}


def _submitted(dataset: Dataset) -> Any:
    """How many answers each begun record of the dataset has. Those begun come first to every reviewer, so that
    `min_submitted` answers are reached early; Argilla only shuffles, and many reviewers then begin everything at once.
    """
    return (
        select(Response.record_id, func.count().label("answers"))
        .join(Record, Record.id == Response.record_id)
        .where(Record.dataset_id == dataset.id, Response.status == ResponseStatus.submitted)
        .group_by(Response.record_id)
        .subquery()
    )


def _for(user_id: Any) -> ColumnElement[bool]:
    """Records that are for this reviewer: not those on which they have voted elsewhere (`voters` of the metadata names
    them), unless they have answered these too. A conflict is for a third person."""
    voters, who = json_values(Record.metadata_, "voters"), UUID(str(user_id))
    name = select(User.username).where(User.id == who).scalar_subquery()
    voted = exists(select(1).select_from(voters).where(voters.c.value == name))
    answered = exists(select(1).where(Response.record_id == Record.id, Response.user_id == who))
    return or_(not_(voted), answered)


def _own_order(user_id: Any) -> ColumnElement[int]:
    """A shuffle of the records for one reviewer: the same every time, another for everybody."""
    seed = UUID(str(user_id)).int % 1_000_003
    mixed = f"((records.rowid + {seed}) * 2654435761 % 4294967296)"
    return literal_column(f"({mixed} * 40503 + ({mixed} >> 15)) % 1000003")
