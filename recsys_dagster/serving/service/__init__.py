"""The HTTP service over the published files: look-ups, lists for new users, feedback.

Here belongs what only a running service needs. How lists are found in a published file from the command line belongs in
the package above; training and publishing do not belong in either.
"""
