"""The run's page, and the short texts that stages leave in Prefect: plain data in, one text out."""
