"""What people look at: plots, one self-contained HTML page a domain, and one that sets the domains side by side.

What belongs here: turning plain data into pictures and pages, and the few aggregates that only they need.
Importing this package imports neither matplotlib nor jinja2; drawing and writing do.
"""
