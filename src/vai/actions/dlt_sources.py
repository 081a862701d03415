"""dlt resources for the three kinds of source."""

from typing import Any

import dlt
from dlt.extract import DltResource
from dlt.sources.rest_api import rest_api_resources
from dlt.sources.sql_database import sql_database

from vai.actions.dlt_files import read

AUTH = {
    "bearer": {"token": "token"},
    "basic": {"username": "username", "password": "password"},
    "api_key": {"name": "name", "value": "api_key", "location": "location"},
}


def resources(request: dict[str, Any]) -> list[DltResource]:
    """One resource a table, each with how it is written."""
    source = request["source"]
    made: list[DltResource] = MAKERS[source["type"]](source)
    tables = {table["name"]: table for table in source["tables"] or ()}
    for resource in made:
        table = tables.get(resource.name, {})
        hints: dict[str, Any] = {
            "write_disposition": table.get("write_disposition") or request["write_disposition"],
        }
        if key := table.get("primary_key") or request["primary_key"]:
            hints["primary_key"] = key
        incremental = table.get("incremental")
        if incremental and not incremental["param"]:
            hints["incremental"] = dlt.sources.incremental(
                incremental["cursor"],
                initial_value=incremental["initial_value"],
                on_cursor_value_missing=incremental["on_missing"],
            )
        resource.apply_hints(**hints)
    return made


def _from_files(source: dict[str, Any]) -> list[DltResource]:
    return [
        dlt.resource(read(table, table["files"], source["credentials"]), name=table["name"])
        for table in source["tables"]
    ]


def _from_database(source: dict[str, Any]) -> list[DltResource]:
    tables = source["tables"]
    database = sql_database(
        source["url"],
        schema=source["database_schema"],
        table_names=[table["name"] for table in tables] if tables else None,
        chunk_size=source["chunk_size"],
        backend="pyarrow",
        include_views=source["include_views"],
    )
    return list(database.resources.values())


def _from_api(source: dict[str, Any]) -> list[DltResource]:
    client: dict[str, Any] = {"base_url": source["base_url"], "headers": source["headers"]}
    if source["auth"]:
        auth = source["auth"]
        client["auth"] = {"type": auth["type"]} | {theirs: auth[ours] for ours, theirs in AUTH[auth["type"]].items()}
    if source["paginator"]:
        client["paginator"] = source["paginator"]
    config: Any = {"client": client, "resources": [_endpoint(table) for table in source["tables"]]}
    return list(rest_api_resources(config))


def _endpoint(table: dict[str, Any]) -> dict[str, Any]:
    endpoint = {
        name: table[name] for name in ("path", "method", "data_selector", "paginator") if table[name] is not None
    }
    params = dict(table["params"])
    incremental = table["incremental"]
    if incremental and incremental["param"]:
        params[incremental["param"]] = {
            "type": "incremental",
            "cursor_path": incremental["cursor"],
            "initial_value": incremental["initial_value"],
        }
    if table["json_"] is not None:
        endpoint["json"] = table["json_"]
    return {"name": table["name"], "endpoint": {**endpoint, "params": params}}


MAKERS = {"filesystem": _from_files, "sql_database": _from_database, "rest_api": _from_api}
