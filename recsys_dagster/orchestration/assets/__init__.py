"""The assets, one module for each group. An asset loads, calls the library, stores, and describes the result."""
