"""Alembic's entry when it is used from its own command line; `vai` itself calls `migrate.upgrade`."""
