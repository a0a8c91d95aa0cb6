"""The commands of `recsys`, a module each; what takes seconds to import is imported by what needs it."""
