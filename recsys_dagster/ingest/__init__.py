"""From a dataset's name to verified files on disk. Public names only are imported from elsewhere."""
