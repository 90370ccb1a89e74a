"""Programs that turn a binary table into CSV, each run in a process of its own.

A hostile file can make a library take all memory or die; here it takes only the child's share and
kills only the child. They import nothing of this project, so that a child starts quickly.
"""
