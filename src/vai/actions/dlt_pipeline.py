"""A dlt pipeline made from a definition, run, and its outcome as a result. Imported in child processes only."""

from pathlib import Path
from typing import Any

import dlt
from sqlalchemy import make_url

from vai.actions.child_context import ChildContext
from vai.actions.dlt_errors import explained
from vai.actions.dlt_progress import Counter
from vai.actions.dlt_sources import resources

FORMAT_OF = {"duckdb": "parquet", "postgres": "csv"}  # the quick ways in
OWN_TABLES = "_dlt_"


def run(request: dict[str, Any], context: ChildContext) -> dict[str, Any]:
    """Extract, normalize, load. Raises ActionFailed."""
    counter = Counter(context)
    try:
        pipeline = dlt.pipeline(
            request["pipeline_name"],
            destination=_destination(request["destination"]),
            dataset_name=request["dataset_name"],
            pipelines_dir=str(Path(request["folder"]) / "pipelines"),
            progress=counter,
        )
        info = pipeline.run(resources(request), loader_file_format=_format(request))
    except Exception as error:
        raise explained(error) from error
    result = _result(pipeline, info)
    context.progress(phase="completed", rows=result["rows"], tables=result["tables"])
    return result


def _destination(destination: dict[str, Any]) -> Any:
    match destination["type"]:
        case "duckdb":
            Path(destination["database"]).parent.mkdir(parents=True, exist_ok=True)
            return dlt.destinations.duckdb(str(Path(destination["database"]).resolve()))
        case "postgres":
            return dlt.destinations.postgres(_credentials(destination["url"]))
    url = destination["path"]
    where = url if "://" in url else Path(url).resolve().as_uri()
    return dlt.destinations.filesystem(where, credentials=destination["credentials"] or None)


def _credentials(address: str) -> dict[str, Any]:
    """In parts: dlt wants a host, also where a socket's folder stands behind the question mark (which then
    counts more than the host)."""
    url = make_url(address)
    return {
        "drivername": "postgresql",
        "database": url.database,
        "username": url.username,
        "password": url.password or "",
        "host": url.host or "localhost",
        "port": url.port or 5432,
        "query": dict(url.query),
    }


def _format(request: dict[str, Any]) -> Any:
    destination, source = request["destination"], request["source"]
    if destination["type"] == "filesystem":
        return destination["format"]
    # Records with lists or objects in them go the way that dlt knows best.
    is_flat = source["type"] == "sql_database" or (
        source["type"] == "filesystem" and not any(_is_jsonl(table) for table in source["tables"])
    )
    return FORMAT_OF[destination["type"]] if is_flat else None


def _is_jsonl(table: dict[str, Any]) -> bool:
    return table["format"] == "jsonl" or any("json" in Path(file).name for file in table["files"])


def _result(pipeline: dlt.Pipeline, info: Any) -> dict[str, Any]:
    trace: Any = pipeline.last_trace
    counts = trace.last_normalize_info.row_counts
    tables = {name: count for name, count in sorted(counts.items()) if not name.startswith(OWN_TABLES)}
    schema = {
        name: {
            column: about.get("data_type") for column, about in pipeline.default_schema.get_table_columns(name).items()
        }
        for name in tables
    }
    return {
        "tables": tables,
        "rows": sum(tables.values()),
        "loadIds": list(info.loads_ids),
        "datasetName": pipeline.dataset_name,
        "schema": schema,
    }
