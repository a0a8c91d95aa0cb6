"""The `recsys` command: one file a command.

A command parses, calls and prints. What it calls lives in the packages below; what takes seconds to import is
imported inside the function that needs it.
"""
