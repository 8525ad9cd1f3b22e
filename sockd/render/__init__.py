"""The model for people and for programs. Pure.

- :mod:`~sockd.render.json_views`: the JSON objects of the HTTP interface
- :mod:`~sockd.render.rows`: services and connections as rows of tables
- :mod:`~sockd.render.tables`: aligned tables, pairs and durations as text
"""
