"""The data model as JSON, CSV and tables. Pure.

- :mod:`~sockd.render.fields`: the fields of a connection, each listed once
- :mod:`~sockd.render.json_views`: the JSON objects of the HTTP interface
- :mod:`~sockd.render.rows`: services as rows of tables
- :mod:`~sockd.render.tables`: aligned tables, pairs and durations as text
"""
