"""Argilla's filters, orders and text queries as SQL over the server's own tables. Pure: nothing is executed here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from argilla_server.enums import RecordStatus, ResponseStatus, ResponseStatusFilter, SortOrder
from argilla_server.models import Question, Record, Response, Suggestion
from argilla_server.search_engine.base import (
    AndFilter,
    MetadataFilterScope,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
    TermsFilter,
    TextQuery,
)
from sqlalchemy import ColumnElement, String, and_, cast, exists, func, not_, or_, select, true
from sqlalchemy.orm import aliased

_WORD = re.compile(r'(-?)(?:"([^"]+)"|(\S+))')
_DATES = ("inserted_at", "updated_at")


def words(query: TextQuery) -> ColumnElement[bool]:
    """Records whose fields hold every word of a query, in the field it names or anywhere.

    A word matches inside longer ones, whatever its case in ASCII (so Chinese is found, which has no spaces); "a
    phrase" matches as a whole, -word must not occur.
    """
    parts = []
    for minus, phrase, word in _WORD.findall(query.q):
        wanted = (phrase or word).strip('*"')
        if not wanted:
            continue
        # the leaves, decoded: a field may be an object, and the server stores all but ASCII escaped
        leaves = func.json_tree(Record.fields, _path(query.field) if query.field else "$").table_valued("atom")
        found = exists(select(1).select_from(leaves).where(leaves.c.atom.contains(wanted, autoescape=True)))
        parts.append(not_(found) if minus else found)
    return and_(true(), *parts)


def condition(given: Any) -> ColumnElement[bool]:
    """One filter of Argilla's, of any scope."""
    if isinstance(given, AndFilter):
        return and_(true(), *[condition(one) for one in given.filters])
    scope = given.scope
    if isinstance(scope, RecordFilterScope):
        return _of_record(given, _text(scope.property))
    if isinstance(scope, MetadataFilterScope):
        values = json_values(Record.metadata_, scope.metadata_property)
        return exists(select(1).select_from(values).where(_compare(given, values.c.value)))
    if isinstance(scope, SuggestionFilterScope):
        return _of_suggestion(given, scope)
    if isinstance(scope, ResponseFilterScope):
        return _of_response(given, scope)
    raise ValueError(f"a filter that the embedded server does not know: {given}")


def order(given: Order) -> ColumnElement[Any]:
    """One order of Argilla's: a record without the value comes last both ways."""
    scope = given.scope
    if isinstance(scope, RecordFilterScope):
        value: Any = getattr(Record, _text(scope.property))
    elif isinstance(scope, MetadataFilterScope):
        values = json_values(Record.metadata_, scope.metadata_property)
        value = select(func.min(values.c.value)).select_from(values).correlate(Record).scalar_subquery()
    elif isinstance(scope, SuggestionFilterScope):
        value = _suggested(scope)
    elif isinstance(scope, ResponseFilterScope):
        value = _answered(scope)
    else:
        raise ValueError(f"an order that the embedded server does not know: {given}")
    return (value.desc() if _text(given.order) == SortOrder.desc.value else value.asc()).nulls_last()


def json_values(column: Any, *keys: str) -> Any:
    """A table of what stands at a path in a JSON column: one row for a scalar, one for each item of a list."""
    return func.json_each(column, _path(*keys)).table_valued("value")


def _path(*keys: str) -> str:
    return "$" + "".join('."{}"'.format(key.replace('"', "")) for key in keys)


def _of_record(given: TermsFilter | RangeFilter, name: str) -> ColumnElement[bool]:
    column = getattr(Record, name)
    if isinstance(given, RangeFilter):
        return _between(given, column, _moment if name in _DATES else _unchanged)
    values = [_text(value) for value in given.values]
    if name == "id":
        return column.in_([found for value in values if (found := _uuid(value))])
    if name == "status":
        return column.in_([RecordStatus(value) for value in values])
    return column.in_(values)


def _of_suggestion(given: TermsFilter | RangeFilter, scope: SuggestionFilterScope) -> ColumnElement[bool]:
    mine = and_(
        Suggestion.record_id == Record.id, Suggestion.question_id == Question.id, Question.name == scope.question
    )
    name = scope.property or "value"
    if name in ("value", "score"):
        values = json_values(getattr(Suggestion, name))
        table = select(1).select_from(Suggestion).join(Question, true()).join(values, true())
        return exists(table.where(mine, _compare(given, values.c.value)))
    column = cast(getattr(Suggestion, name), String)
    return exists(select(1).select_from(Suggestion).join(Question, true()).where(mine, _compare(given, column)))


def _of_response(given: TermsFilter | RangeFilter, scope: ResponseFilterScope) -> ColumnElement[bool]:
    mine = [Response.record_id == Record.id]
    if scope.user is not None:
        mine.append(Response.user_id == scope.user.id)
    if scope.question:
        values = json_values(Response.values, scope.question, "value")
        table = select(1).select_from(Response).join(values, true())
        return exists(table.where(*mine, _compare(given, values.c.value)))
    if scope.property != "status" or not isinstance(given, TermsFilter):
        raise ValueError(f"a filter that the embedded server does not know: {given}")
    wanted = {_text(value) for value in given.values}
    parts = []
    if ResponseStatusFilter.pending.value in wanted:  # not a status of an answer: there is none
        wanted.remove(ResponseStatusFilter.pending.value)
        parts.append(not_(exists(select(1).select_from(Response).where(*mine))))
    if wanted:
        status = Response.status.in_([ResponseStatus(value) for value in sorted(wanted)])
        parts.append(exists(select(1).select_from(Response).where(*mine, status)))
    return or_(*parts) if parts else true()


def _suggested(scope: SuggestionFilterScope) -> Any:
    suggestion, question = aliased(Suggestion), aliased(Question)
    name = scope.property or "value"
    if name in ("value", "score"):
        values = json_values(getattr(suggestion, name))
        stmt = select(func.min(values.c.value)).select_from(suggestion).join(values, true())
    else:
        stmt = select(func.min(cast(getattr(suggestion, name), String))).select_from(suggestion)
    stmt = stmt.join(question, question.id == suggestion.question_id)
    mine = and_(suggestion.record_id == Record.id, question.name == scope.question)
    return stmt.where(mine).correlate(Record).scalar_subquery()


def _answered(scope: ResponseFilterScope) -> Any:
    """The mean of what was answered, as Argilla's own engines sort; for labels the first in the alphabet."""
    response = aliased(Response)
    if scope.question:
        values = json_values(response.values, scope.question, "value")
        number = func.avg(values.c.value).filter(func.typeof(values.c.value).in_(("integer", "real")))
        stmt = select(func.coalesce(number, func.min(values.c.value))).select_from(response).join(values, true())
    else:
        stmt = select(func.min(cast(getattr(response, _text(scope.property)), String))).select_from(response)
    if scope.user is not None:
        stmt = stmt.where(response.user_id == scope.user.id)
    return stmt.where(response.record_id == Record.id).correlate(Record).scalar_subquery()


def _compare(given: TermsFilter | RangeFilter, column: Any) -> ColumnElement[bool]:
    if isinstance(given, TermsFilter):
        return cast(column, String).in_([_text(value) for value in given.values])
    return _between(given, column, _unchanged)


def _between(given: RangeFilter, column: Any, read: Callable[[Any], Any]) -> ColumnElement[bool]:
    parts = [column.is_not(None)]
    if given.ge is not None:
        parts.append(column >= read(given.ge))
    if given.le is not None:
        parts.append(column <= read(given.le))
    return and_(*parts)


def _moment(value: Any) -> datetime:
    """Argilla keeps times in UTC without saying so; the page sends them as text or in milliseconds."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000, UTC).replace(tzinfo=None)
    read = datetime.fromisoformat(str(value))
    return read if read.tzinfo is None else read.astimezone(UTC).replace(tzinfo=None)


def _unchanged(value: Any) -> Any:
    return value


def _uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None


def _text(value: Any) -> str:
    """The value of an enum's member, which the API hands over in both forms."""
    return str(getattr(value, "value", value))
