"""Reports for people: plots, one self-contained HTML page for each domain, and one page that compares the domains.

What belongs here: turning results into plots and pages, the few aggregates that only they need, and serving the pages.
What does not: computing results, and anything that knows Dagster. Importing this package imports neither matplotlib nor
jinja2.
"""
