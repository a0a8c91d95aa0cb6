"""What runs inside Spark's own environment, started by `recsys_dagster.runtime.spark_process`.

What belongs here: the jobs, one function each, and all that imports PySpark. What does not: anything that the pipeline
imports; it knows the jobs by name only. A module that is imported here must do with the packages of
`requirements-spark.lock`.
"""
