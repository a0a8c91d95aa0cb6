"""What must hold before anything is published: checks of the data, of the folds and of the finished lists.

Each check is a function of a domain that returns what was expected beside what was found. Its
docstring says what it means and, after "Cure:", what to do when it fails: the UI and the page for the person on call
show the same words.
"""
