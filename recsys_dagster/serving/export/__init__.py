"""Copy a published file to where an application reads it: files, PostgreSQL, Redis.

Each sink replaces what it wrote before in one step, so that its readers never see a mix of two publications. What is
published is only read.
"""
