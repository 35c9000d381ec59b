"""What an operation does with the database while its scope is open."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    Dialect,
    Executable,
    ScalarResult,
    TextClause,
    Update,
    and_,
    bindparam,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoResultFound
from sqlmodel import SQLModel

from models.base import column_values, columns
from models.database.pool import Answer, Connection
from models.database.statements import Found, Read, Shape, SimpleResultMetaData, Statements, Values

Row = TypeVar("Row", bound=SQLModel)
Insertion = tuple[str, Sequence[tuple[str, Callable[[Any], Any] | None]]]
"""A text, and for each of its parameters the column whose value it is, and what makes that ready for the driver."""
Ask = Callable[..., Awaitable[Answer]]

DIALECTS = {"postgresql": postgresql, "sqlite": sqlite}
SAVEPOINT = "nested"
OLD = "old_"


class Transaction:
    """Statements on one connection. What is changed of an entity that was read or added here is written by itself:
    before the next statement, and at the end.
    """

    def __init__(self, connection: Connection, statements: Statements, ask: Ask) -> None:
        self.connection, self.statements, self.ask = connection, statements, ask
        self.events: list[Any] = []
        """Facts that are written at the very end."""
        self.added: list[SQLModel] = []
        self.known: dict[tuple[Any, ...], tuple[SQLModel, dict[str, Any]]] = {}
        """Entities by their keys, each with its values as the database has them."""

    @property
    def dialect(self) -> Dialect:
        return self.connection.dialect

    async def execute(self, statement: Executable, values: Values | Sequence[Values] | None = None) -> Found:
        """Run a statement; once for each, where it is given a list of values."""
        await self.flush()
        if isinstance(values, list):
            return await self.execute_many(statement, values)
        ready = self.statements.ready(statement, values)
        rows = None if isinstance(statement, TextClause) else ready.shape is not None
        answer = await self.ask(self.connection, ready.sql, ready.parameters, rows=rows)
        if ready.shape is None:
            return Found(SimpleResultMetaData(answer.names), map(tuple, answer.rows), answer.count)
        return Found(ready.shape.names, self.rows(ready.shape, answer.rows), answer.count)

    async def execute_many(self, statement: Executable, values: Sequence[Values]) -> Found:
        ready = [self.statements.ready(statement, each) for each in values]
        try:
            await self.connection.ask_many(ready[0].sql, [each.parameters for each in ready])
        except Exception as error:
            raise self.connection.meant(error, ready[0].sql) from error
        return Found(SimpleResultMetaData(()), (), len(ready))

    async def scalars(self, statement: Executable, values: Values | None = None) -> ScalarResult[Any]:
        """The first of what each row has."""
        return (await self.execute(statement, values)).scalars()

    async def scalar(self, statement: Executable, values: Values | None = None) -> Any:
        """The first of what the first row has, or None."""
        row = (await self.execute(statement, values)).first()
        return row and row[0]

    async def get(self, entity: type[Row], id: Any) -> Row | None:
        """The row with that id."""
        (key,) = inspect(entity).primary_key
        return await self.scalar(select(entity).where(key == id))

    async def get_one(self, entity: type[Row], id: Any) -> Row:
        row = await self.get(entity, id)
        if row is None:
            raise NoResultFound(entity.__name__)
        return row

    def add(self, row: SQLModel) -> None:
        """Have a new row written before the next statement."""
        self.added.append(row)

    def add_all(self, rows: Iterable[SQLModel]) -> None:
        self.added.extend(rows)

    async def insert(self, row: SQLModel, *, unless: str | None = None) -> bool:
        """Write a new row now, unless another has the same in the column `unless`; says whether it was written."""
        await self.flush()
        return await self.inserted(row, unless)

    async def flush(self) -> None:
        """Write what was added and changed."""
        while self.added:
            row = self.added.pop(0)
            await self.inserted(row)
            self.known[key_of(row)] = row, column_values(row)
        for (entity, *ids), (row, as_read) in self.known.items():
            now = column_values(row)
            if now != as_read:
                await self.amend(entity, ids, {name: now[name] for name in now if now[name] != as_read[name]})
                as_read.update(now)

    async def inserted(self, row: SQLModel, unless: str | None = None) -> bool:
        values = column_values(row)
        drawn = tuple(name for name in keys(type(row)) if values[name] is None)
        sql, takes = insertion(type(row), self.dialect, unless, drawn)
        parameters = [values[name] if process is None else process(values[name]) for name, process in takes]
        answer = await self.ask(self.connection, sql, parameters, rows=bool(drawn))
        for name, value in zip(drawn, answer.rows[0] if drawn else (), strict=True):
            setattr(row, name, value)
        return bool(answer.count)

    async def amend(self, entity: type[SQLModel], ids: Sequence[Any], changed: dict[str, Any]) -> None:
        which = {f"{OLD}{name}": id for name, id in zip(keys(entity), ids, strict=True)}
        change = self.statements.ready(amendment(entity, tuple(changed)), changed | which)
        await self.ask(self.connection, change.sql, change.parameters, rows=False)

    def rows(self, shape: Shape, records: Iterable[Sequence[Any]]) -> Iterable[tuple[Any, ...]]:
        if shape.takes is None:
            return map(tuple, records)
        return [
            tuple([self.entity(take, record) if isinstance(take, Read) else take(record) for take in shape.takes])
            for record in records
        ]

    def entity(self, read: Read, record: Sequence[Any]) -> SQLModel:
        """The one object that stands for a row in this transaction, as the row is now."""
        values = read.values(record)
        key = (read.entity, *(values[name] for name in keys(read.entity)))
        row, as_read = self.known.get(key) or (inspect(read.entity).class_manager.new_instance(), {})
        inspect(row).key = key  # SQLAlchemy raises at relationships that were not loaded, but of new rows
        row.__dict__.update(values)
        as_read.update(values)
        self.known[key] = row, as_read
        return row

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        """A scope of its own: left by an error, what was done in it is undone, in the database and in entities."""
        await self.flush()
        before = {key: (row, dict(as_read)) for key, (row, as_read) in self.known.items()}
        await self.order(f"SAVEPOINT {SAVEPOINT}")
        try:
            yield
            await self.flush()
        except Exception:
            await self.order(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            self.added, self.known = [], before
            for row, as_read in before.values():
                row.__dict__.update(as_read)
            raise
        await self.order(f"RELEASE SAVEPOINT {SAVEPOINT}")

    async def order(self, sql: str) -> None:
        await self.ask(self.connection, sql, (), rows=False)


def key_of(row: SQLModel) -> tuple[Any, ...]:
    return (type(row), *(getattr(row, name) for name in keys(type(row))))


@cache
def keys(entity: type[SQLModel]) -> tuple[str, ...]:
    """What tells its rows apart."""
    return tuple(column.key for column in inspect(entity).primary_key)


@cache
def insertion(entity: type[SQLModel], dialect: Dialect, unless: str | None, drawn: tuple[str, ...]) -> Insertion:
    """Writes one row, unless another has the same in one column; answers with what the database draws of it."""
    table = entity.__table__
    statement = DIALECTS[dialect.name].insert(table)
    if unless:
        statement = statement.on_conflict_do_nothing(index_elements=[unless])
    statement = statement.returning(*(table.c[name] for name in drawn)) if drawn else statement.inline()
    compiled = statement.compile(dialect=dialect, column_keys=[name for name in columns(entity) if name not in drawn])
    return compiled.string, [(name, compiled._bind_processors.get(name)) for name in compiled.positiontup]


@cache
def amendment(entity: type[SQLModel], changed: tuple[str, ...]) -> Update:
    """Changes these columns of one row."""
    columns = entity.__table__.c
    which = and_(*(columns[name] == bindparam(f"{OLD}{name}", type_=columns[name].type) for name in keys(entity)))
    return update(entity.__table__).where(which).values({name: bindparam(name) for name in changed})
