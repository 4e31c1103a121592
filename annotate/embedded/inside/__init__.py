"""Runs inside the server's environment, by path: imports the server and what it brings, and of ours only this folder.

`python -I .../inside` starts the server (`__main__.py`); `keys` is what the other process needs too.
"""
