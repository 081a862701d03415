"""The definition of `dlt_extract`: where the data comes from, and where it goes."""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from vai.actions.checking import ConnectionRef, Definition

WriteDisposition = Literal["append", "replace", "merge"]
FileFormat = Literal["csv", "jsonl", "parquet"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Names = list[Name] | Name
DatabaseUrl = Annotated[SecretStr, Field(description="For example postgresql://user:password@host:5432/name")]


def one_way(url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    """The url, if just one of it and a connection is given."""
    if url is None and info.data.get("connection_ref") is None:
        raise ValueError("is required, or a connectionRef")
    if url is not None and info.data.get("connection_ref") is not None:
        raise ValueError("give url or connectionRef, not both")
    return url


class Incremental(Definition):
    """Take only what is new since the last run: rows whose cursor is beyond the greatest one seen."""

    cursor: str = Field(min_length=1, description="A column, or a JSON path in a record")
    initial_value: str | int | float | None = None
    on_missing: Literal["raise", "include", "exclude"] = Field(
        "raise", description="What becomes of rows without a cursor"
    )
    param: str | None = Field(None, description="rest_api: the query parameter that carries the cursor")


class Table(Definition):
    """What is the same for a table of every source."""

    name: Name
    write_disposition: WriteDisposition | None = Field(None, description="Default: the extract's own")
    primary_key: Names | None = None
    incremental: Incremental | None = None


class FileTable(Table):
    """The files that make up one table."""

    path: str = Field(min_length=1, description="A path or URL; may hold * and **")
    format: FileFormat | None = Field(None, description="Default: by the name of the file")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    null_values: list[str] = Field(default_factory=lambda: ["", "NA", "NULL", "null"])
    column_types: dict[str, Literal["text", "integer", "number", "boolean", "date", "timestamp"]] = Field(
        default_factory=dict, description="csv: types that are not to be inferred"
    )


class FilesystemSource(Definition):
    """Files, here or in a store that fsspec can reach; .gz and .zip are unpacked."""

    type: Literal["filesystem"]
    tables: list[FileTable] = Field(min_length=1)
    credentials: dict[str, SecretStr] = Field(default_factory=dict, description="fsspec's own storage options")


class SqlTable(Table):
    """A table of a database."""

    columns: list[str] | None = None


class SqlSource(Definition):
    """A database that SQLAlchemy can reach."""

    type: Literal["sql_database"]
    connection_ref: ConnectionRef | None = Field(None, description="The connection whose credentials hold the url")
    url: DatabaseUrl | None = Field(None, validate_default=True)
    database_schema: str | None = Field(None, alias="schema")
    tables: list[SqlTable] | None = Field(None, description="Default: all")
    include_views: bool = False
    chunk_size: int = Field(50_000, ge=1)

    @field_validator("url")
    @classmethod
    def _reached(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        return one_way(url, info)

    @field_validator("tables", mode="before")
    @classmethod
    def _names_alone(cls, tables: Any) -> Any:
        if not isinstance(tables, list):
            return tables
        return [{"name": table} if isinstance(table, str) else table for table in tables]


class RestAuth(Definition):
    """How to sign in: `token` for bearer, `username` and `password` for basic, `name` and `value` for api_key."""

    type: Literal["bearer", "basic", "api_key"]
    token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    name: str = "X-API-Key"
    value: SecretStr | None = None
    location: Literal["header", "query"] = "header"


class RestTable(Table):
    """An endpoint, and the table that its records go to."""

    path: str
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, Any] = Field(default_factory=dict)
    json_: Any = Field(None, alias="json")
    data_selector: str | None = Field(None, description="JSON path of the records in the answer")
    paginator: str | dict[str, Any] | None = Field(None, description="dlt's own paginator, by name or settings")


class RestSource(Definition):
    """An HTTP API."""

    type: Literal["rest_api"]
    base_url: str = Field(pattern=r"^https?://")
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    auth: RestAuth | None = None
    paginator: str | dict[str, Any] | None = None
    tables: list[RestTable] = Field(min_length=1)


class DuckdbDestination(Definition):
    """A DuckDB file."""

    type: Literal["duckdb"]
    database: str = Field(min_length=1)


class PostgresDestination(Definition):
    """A PostgreSQL database."""

    type: Literal["postgres"]
    connection_ref: ConnectionRef | None = Field(None, description="The connection whose credentials hold the url")
    url: DatabaseUrl | None = Field(None, validate_default=True)

    @field_validator("url")
    @classmethod
    def _reached(cls, url: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        return one_way(url, info)


class FilesystemDestination(Definition):
    """A folder here or in a store that fsspec can reach."""

    type: Literal["filesystem"]
    path: str = Field(min_length=1)
    format: Literal["parquet", "jsonl", "csv"] = "parquet"
    credentials: dict[str, SecretStr] = Field(default_factory=dict)


Source = Annotated[FilesystemSource | SqlSource | RestSource, Field(discriminator="type")]
Destination = Annotated[DuckdbDestination | PostgresDestination | FilesystemDestination, Field(discriminator="type")]


class ExtractDefinition(Definition):
    """From a source to a destination."""

    source: Source
    destination: Destination
    dataset_name: Name = "raw"
    write_disposition: WriteDisposition = "replace"
    primary_key: Names | None = None
    pipeline_name: Name | None = Field(
        None, description="Under this name the cursors of incremental tables are kept; default: made of the rest"
    )

    @model_validator(mode="after")
    def _merge_by_key(self) -> "ExtractDefinition":
        for table in self.source.tables or ():
            disposition = table.write_disposition or self.write_disposition
            if disposition == "merge" and not (table.primary_key or self.primary_key):
                raise ValueError(f"writeDisposition merge needs a primaryKey (table {table.name})")
        return self
