"""The revisions and the models say the same, on both databases."""

import asyncio
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from models import Database, migrations
from models.errors import Unavailable
from models.migrations import configuration, downgrade, is_current, upgrade

POSTGRES_CATALOG = """
    SELECT 'column', table_name, column_name, concat_ws(' ', data_type, character_maximum_length, collation_name,
           is_nullable, column_default, is_identity)
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name != 'alembic_version'
    UNION ALL SELECT 'index', tablename, indexname, indexdef
    FROM pg_indexes WHERE schemaname = 'public' AND tablename != 'alembic_version'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text != 'alembic_version'
    UNION ALL SELECT 'type', '', typname, typtype::text FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
    ORDER BY 1, 2, 3"""

SQLITE_CATALOG = """
    WITH ours AS (SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version')
    SELECT 'column', ours.name, it.name, concat_ws(' ', it.type, it."notnull", it.dflt_value, it.pk)
    FROM ours, pragma_table_xinfo(ours.name) it
    UNION ALL SELECT 'key', ours.name, it."from", concat_ws(' ', it."table", it."to", it.on_update, it.on_delete)
    FROM ours, pragma_foreign_key_list(ours.name) it
    UNION ALL SELECT 'unique', ours.name, it.origin, (SELECT group_concat(name) FROM pragma_index_info(it.name))
    FROM ours, pragma_index_list(ours.name) it WHERE it."unique"
    UNION ALL SELECT 'autoincrement', name, '', sql LIKE '%AUTOINCREMENT%' FROM ours
    UNION ALL SELECT 'index', tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"""


async def looked_at(url: str, look):
    db = Database(url)
    try:
        async with db.engine.begin() as connection:
            return await connection.run_sync(look)
    finally:
        await db.close()


def catalog(connection: Connection) -> set[tuple[str, ...]]:
    """What the server itself says it keeps: every column's type, collation and default, every index and constraint."""
    rows = connection.execute(text(SQLITE_CATALOG if connection.dialect.name == "sqlite" else POSTGRES_CATALOG))
    return {tuple(" ".join(str(value).split()) for value in row) for row in rows}


async def test_the_migrated_database_is_what_the_models_declare(empty_database, another_empty_database):
    await upgrade(empty_database)
    await looked_at(another_empty_database, SQLModel.metadata.create_all)
    assert await looked_at(empty_database, catalog) == await looked_at(another_empty_database, catalog)


async def test_alembic_finds_nothing_left_to_migrate(empty_database):
    def differences(connection: Connection) -> list:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, SQLModel.metadata)

    await upgrade(empty_database)
    assert await looked_at(empty_database, differences) == []


async def test_up_down_and_up_again_leaves_nothing_behind(empty_database):
    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    await upgrade(empty_database)
    first = await looked_at(empty_database, catalog)
    await downgrade(empty_database, "base")
    assert await looked_at(empty_database, tables) == {"alembic_version"}
    await upgrade(empty_database)
    assert await looked_at(empty_database, catalog) == first


async def test_a_database_is_current_once_migrated(empty_database):
    assert not await is_current(empty_database)
    await upgrade(empty_database)
    assert await is_current(empty_database)
    await downgrade(empty_database, "base")
    assert not await is_current(empty_database)


async def test_a_database_newer_than_this_version_is_left_alone(empty_database):
    await upgrade(empty_database)
    await looked_at(empty_database, lambda it: it.execute(text("UPDATE alembic_version SET version_num = 'tomorrow'")))
    assert await is_current(empty_database)
    await upgrade(empty_database)
    at = await looked_at(empty_database, lambda it: it.scalar(text("SELECT version_num FROM alembic_version")))
    assert at == "tomorrow"


async def test_servers_that_start_together_migrate_once(empty_database):
    program = "import asyncio, sys; from models.migrations import upgrade; asyncio.run(upgrade(sys.argv[1]))"
    starting = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, empty_database, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    output = [await process.communicate() for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0], output
    assert await is_current(empty_database)


async def test_callers_in_one_process_migrate_different_databases(empty_database, another_empty_database):
    await asyncio.gather(upgrade(empty_database), upgrade(another_empty_database))
    assert await is_current(empty_database)
    assert await is_current(another_empty_database)


@pytest.fixture
async def migrated(bare_postgres_url):
    await upgrade(bare_postgres_url)
    return bare_postgres_url


async def test_a_migration_lets_others_pass_while_a_table_is_in_use(migrated):
    """It waits for a moment at a time, and is done once the table is free."""
    db = Database(migrated, statement_timeout=2 * migrations.LOCK_TIMEOUT)
    async with db.reading() as using:
        await using.execute(text("BEGIN"))
        await using.execute(text("LOCK TABLE posts IN ACCESS SHARE MODE"))
        migrating = asyncio.create_task(downgrade(migrated, "base"))
        await asyncio.sleep(migrations.LOCK_TIMEOUT / 2)
        async with db.reading() as other:
            assert await other.scalar(text("SELECT count(*) FROM posts")) == 0
        assert not migrating.done()
        await using.execute(text("ROLLBACK"))
    await migrating
    await db.close()
    assert not await is_current(migrated)


async def test_a_migration_names_the_sessions_that_block_it(migrated, monkeypatch):
    monkeypatch.setattr(migrations, "RETRY_TIMEOUT", 1.0)
    db = Database(migrated)
    async with db.reading() as using:
        await using.execute(text("SET application_name = 'a long report'"))
        await using.execute(text("BEGIN"))
        await using.execute(text("LOCK TABLE posts IN ACCESS SHARE MODE"))
        process = await using.scalar(text("SELECT pg_backend_pid()"))
        with pytest.raises(Unavailable, match=rf"in use: process {process} \(a long report, idle in transaction"):
            await downgrade(migrated, "base")
        await using.execute(text("ROLLBACK"))
    await db.close()
    assert await is_current(migrated)


def test_the_revisions_form_one_line():
    """Two that follow the same one would leave the order to chance."""
    assert len(ScriptDirectory.from_config(configuration()).get_heads()) == 1
