"""The classroom's lab, played for real, and what it prints in the pages that teach it.

``python -m tests.transcripts`` plays it and fills the marked blocks of the pages; with ``--check``
it only says which of them are out of date. It needs root, and the programs that the pages name.
"""
