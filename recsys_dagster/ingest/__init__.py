"""From the id of a dataset to verified files on disk: catalogue, formats, download, unpacking, manifest, samples.

Reading the files into tables belongs to `warehouse`.
"""
