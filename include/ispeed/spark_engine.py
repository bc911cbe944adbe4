"""The engine on Spark: the same SQL files over the same Parquet files, on a cluster where one machine is not enough.

Every machine of the cluster must see the lake under the same path. How much memory, how many executors and all else
that only makes it faster is Spark's own configuration (`spark-defaults.conf` in `SPARK_CONF_DIR`); what is set here
makes it compute the same as DuckDB.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ispeed.engine import Row
from ispeed.errors import UserError
from ispeed.settings import INCLUDE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TYPES: Final = {
    "text": "string",
    "integer": "bigint",
    "double": "double",
    "date": "date",
    "timestamp": "timestamp_ntz",
    "boolean": "boolean",
}
# Times are local ones without a zone, in SQL and in Parquet; an overflow is an error, never a null.
_SAME_AS_DUCKDB: Final = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    # With it, Spark 4.3 fails on a union of computed relations: "key not found" in UnionBase.rewriteConstraints.
    "spark.sql.constraintPropagation.enabled": "false",
}
# Spark on this machine alone has nobody to listen to.
_ON_LOOPBACK: Final = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
}
_JAVA = "Java 17 or later, in JAVA_HOME or PATH"


class SparkEngine:
    """The engine on a Spark session: its relations are temporary views, gone when the engine closes."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._names: set[str] = set()

    def close(self) -> None:
        for name in self._names:
            self._session.catalog.dropTempView(name)

    def read_parquet(self, name: str, *paths: Path) -> None:
        self._name(name, self._session.read.parquet(*(_uri(path) for path in sorted(paths))))

    def read_table(self, name: str, path: Path) -> None:
        """As rows of ours: each of hundreds of checks would read the file anew."""
        from pyarrow.parquet import ParquetFile

        self._name(name, self._session.createDataFrame(ParquetFile(path).read()))

    def add_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        self._name(name, self._frame(columns, rows))

    def append_rows(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        self._append(name, self._frame(columns, rows))

    def append_query(self, name: str, query: str, parameters: Sequence[Any] = ()) -> None:
        self._append(name, self._sql(query, parameters))

    def create(self, name: str, sql_file: str, *, is_checked: bool = False) -> None:
        self.create_from_query(name, _text_of(sql_file))

    def append(self, name: str, sql_file: str) -> None:
        self._append(name, self._session.sql(_text_of(sql_file)))

    def create_from_query(self, name: str, query: str) -> None:
        self._name(name, _computed(self._session.sql(query)))

    def view(self, name: str, sql_file: str) -> None:
        self.create_view(name, _text_of(sql_file))

    def create_view(self, name: str, query: str) -> None:
        # As SQL text, which is looked up anew each time; a data frame would keep its relations as they are now.
        self._session.sql(f"create or replace temporary view {name} as {query}")
        self._names.add(name)

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return [row.asDict() for row in self._sql(query, parameters).collect()]

    def arrays(self, query: str) -> dict[str, Any]:
        table = self._session.sql(query).toArrow()
        return {name: table.column(name).to_numpy() for name in table.column_names}

    def value(self, query: str) -> Any:
        row = self._session.sql(query).first()
        return row[0] if row else None

    def write_parquet(self, query: str, path: Path) -> None:
        """As DuckDB does it: one file, so that whoever reads the lake need not know what wrote it.

        The rows are sorted and computed on the cluster; one task writes them.
        """
        from pyspark.sql import functions, types

        frame = self._session.sql(query)
        columns = [
            # Truncated times come back with a zone.
            functions.col(field.name).cast("timestamp_ntz").alias(field.name)
            if isinstance(field.dataType, types.TimestampType)
            else functions.col(field.name)
            for field in frame.schema.fields
        ]
        parts = path.with_name(f"{path.name}.parts")
        frame.select(columns).coalesce(1).write.mode("overwrite").parquet(_uri(parts))
        (part,) = parts.glob("*.parquet")
        part.rename(path)
        shutil.rmtree(parts)

    def write_file(self, sql_file: str, path: Path) -> None:
        self.write_parquet(_text_of(sql_file), path)

    @contextmanager
    def batch(self, context: Any, relation: str) -> Iterator[Callable[[], Any]]:
        source = context.data_sources.add_spark("spark", persist=False)
        definition = source.add_dataframe_asset(relation).add_batch_definition_whole_dataframe("all")
        yield lambda: definition.get_batch(batch_parameters={"dataframe": self._session.table(relation)})

    def _frame(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> DataFrame:
        import pyarrow as pa

        # By Arrow a small relation becomes a part of the plan, and is sent to every executor with it.
        types = {
            "text": pa.string(),
            "integer": pa.int64(),
            "double": pa.float64(),
            "date": pa.date32(),
            "timestamp": pa.timestamp("us"),
            "boolean": pa.bool_(),
        }
        values = zip(*rows, strict=True) if rows else ((),) * len(columns)
        table = pa.table(
            {
                name: pa.array(list(column), types[kind])
                for (name, kind), column in zip(columns.items(), values, strict=True)
            }
        )
        return self._session.createDataFrame(
            table, ", ".join(f"`{name}` {_TYPES[kind]}" for name, kind in columns.items())
        )

    def _append(self, name: str, more: DataFrame) -> None:
        self._name(name, self._session.table(name).union(_computed(more)))

    def _sql(self, query: str, parameters: Sequence[Any]) -> DataFrame:
        return self._session.sql(query, args=list(parameters)) if parameters else self._session.sql(query)

    def _name(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(name)
        self._names.add(name)


@contextmanager
def open_spark(master: str) -> Iterator[SparkEngine]:
    """The engine on a session of `master`: a Spark master (`local[2]`, `spark://host:7077`) or `sc://…`.

    A session that is there already is used and left as it is; else one is started, and stopped at the end.
    """
    require_spark(master)
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is None:
        builder = SparkSession.builder.appName("ispeed")
        builder = builder.remote(master) if _is_remote(master) else builder.master(master)
        for name, value in (_ON_LOOPBACK if master.startswith("local") else {}).items():
            builder = builder.config(name, value)
        try:
            session = builder.getOrCreate()
        except PySparkRuntimeError as error:
            if error.getCondition() == "JAVA_GATEWAY_EXITED":
                raise UserError(
                    "setting ISPEED_ENGINE", "spark, but Java did not start it", _JAVA, "install it"
                ) from error
            raise
    else:
        session = running
    for name, value in _SAME_AS_DUCKDB.items():
        session.conf.set(name, value)
    engine = SparkEngine(session)
    try:
        yield engine
    finally:
        engine.close()
        if running is None:
            session.stop()


def require_spark(master: str) -> None:
    """Raise `UserError` naming what Spark needs and does not have here: a master, pyspark, Java."""
    if not master:
        raise UserError(
            "setting ISPEED_SPARK",
            "nothing, with ISPEED_ENGINE=spark",
            "a Spark master such as local[2] or spark://host:7077, or a remote such as sc://host:15002",
            "set it, or in Airflow make the connection ispeed_spark",
        )
    if importlib.util.find_spec("pyspark") is None:
        raise UserError(
            "setting ISPEED_ENGINE",
            "spark, but pyspark is not installed",
            "the packages of requirements-spark.txt",
            "pip install -r requirements-spark.txt, or unset ISPEED_ENGINE",
        )
    if not _is_remote(master) and java() is None:
        raise UserError(
            "setting ISPEED_ENGINE",
            f"spark, but no Java in JAVA_HOME ({os.environ.get('JAVA_HOME') or 'not set'}) or PATH",
            _JAVA,
            "install it, or name a Spark Connect server in ISPEED_SPARK (sc://host:15002), or unset ISPEED_ENGINE",
        )


def java() -> str | None:
    """The Java that Spark would start: JAVA_HOME's, else the one in PATH; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")


def _is_remote(master: str) -> bool:
    return master.startswith("sc://")


def _computed(frame: DataFrame) -> DataFrame:
    """The frame's rows, computed once, without the plan that led to them: plans of plans grow beyond reading."""
    return frame.localCheckpoint()


def _text_of(sql_file: str) -> str:
    return (INCLUDE / "sql" / sql_file).read_text(encoding="utf-8")


def _uri(path: Path) -> str:
    # Not Path.as_uri, whose %3D for the = of month=2024-10 Spark takes for the name.
    return f"file://{path.absolute()}"
