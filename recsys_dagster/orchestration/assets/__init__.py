"""The assets, a module a group. Each is thin: load, call the library, store, say what came of it."""
