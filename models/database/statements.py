"""SQLAlchemy's statements as drivers take them: text and values. Each is compiled once, however often it is run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from json import loads
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Executable, Select, inspect
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.types import JSON, TypeEngine
from sqlalchemy.util import LRUCache

MOST = 500

Values = Mapping[str, Any]
Take = Callable[[Sequence[Any]], Any]
"""Makes one value of a result's row from the columns that the database answered with."""


class Found(IteratorResult):
    """What a statement found, as SQLAlchemy has it, and how many rows it found or changed."""

    def __init__(self, shape: SimpleResultMetaData, rows: Iterable[Any], rowcount: int) -> None:
        super().__init__(shape, iter(rows))
        self.rowcount = rowcount


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """An entity among what is selected: its class, and where each of its columns stands."""

    entity: type
    places: Mapping[str, tuple[int, Callable[[Any], Any] | None]]

    def values(self, record: Sequence[Any]) -> dict[str, Any]:
        return {
            name: record[at] if process is None or record[at] is None else process(record[at])
            for name, (at, process) in self.places.items()
        }


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How a statement's answer is read."""

    names: SimpleResultMetaData
    takes: Sequence[Read | Take] | None
    """None where the rows are what they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A statement with its values, to be sent."""

    sql: str
    parameters: Sequence[Any]
    shape: Shape | None
    """None where no rows are answered, or their columns are not known before."""


class Statements:
    """Makes statements ready for one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.compiled: LRUCache[Any, Any] = LRUCache(MOST)
        self.shapes: WeakKeyDictionary[Any, Shape | None] = WeakKeyDictionary()

    def ready(self, statement: Executable, values: Values | None = None) -> Ready:
        compiled, extracted, given, _ = statement._compile_w_cache(
            self.dialect, compiled_cache=self.compiled, column_keys=sorted(values or ())
        )
        named = compiled.construct_params(values, extracted, escape_names=False, _collected_params=given)
        for column in compiled.insert_prefetch or ():
            named[column.key] = column.default.arg({}) if column.default.is_callable else column.default.arg
        sql, process, order = compiled.string, compiled._bind_processors, compiled.positiontup
        if compiled.post_compile_params or compiled.literal_execute_params:
            expanded = compiled._process_parameters_for_postcompile(named)
            sql, process, order = expanded.statement, {**process, **expanded.processors}, expanded.positiontup
        parameters = [process[name](named[name]) if name in process else named[name] for name in order]
        return Ready(sql, parameters, self.shape(statement, compiled))

    def shape(self, statement: Any, compiled: Any) -> Shape | None:
        try:
            return self.shapes[compiled]
        except KeyError:
            columns = compiled._result_columns
            shape = self.shapes[compiled] = self.shaped(statement, columns) if columns else None
            return shape

    def shaped(self, statement: Any, columns: Sequence[Any]) -> Shape:
        """Entities take as many columns as they have; all else takes one."""
        names: list[str] = []
        takes: list[Read | Take] = []
        at = 0
        for entity in entities(statement, len(columns)):
            if entity is None:
                names.append(columns[at].keyname)
                takes.append(taking(at, self.processor(columns[at].type)))
                at += 1
                continue
            mapper, places = inspect(entity), {}
            for place, column in enumerate(columns[at : at + len(mapper.column_attrs)], at):
                (key,) = {mapper.get_property_by_column(o).key for o in column.objects if o in mapper.c.values()}
                places[key] = place, self.processor(column.type)
            names.append(entity.__name__)
            takes.append(Read(entity, places))
            at += len(places)
        plain = all(isinstance(take, itemgetter) for take in takes)
        return Shape(SimpleResultMetaData(names), None if plain else takes)

    def processor(self, kind: TypeEngine) -> Callable[[Any], Any] | None:
        """Makes of what the driver answers what the type says it is."""
        if isinstance(kind, JSON):
            return loads  # SQLAlchemy's own has asyncpg do this
        return kind.dialect_impl(self.dialect).result_processor(self.dialect, None)


def taking(at: int, process: Callable[[Any], Any] | None) -> Take:
    return itemgetter(at) if process is None else lambda record: None if record[at] is None else process(record[at])


def entities(statement: Any, width: int) -> Sequence[type | None]:
    """For each thing that is selected the entity that it is, or None. What changes rows answers with columns alone."""
    if not isinstance(statement, Select):
        return [None] * width
    told = (each["expr"] for each in statement.column_descriptions)
    return [each if isinstance(each, type) else None for each in told]
