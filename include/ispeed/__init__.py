"""i-Speed monthly reports: from the portal's exports to the department's workbooks.

The pipeline knows no Airflow; only `airflow`, and the commands behind `python -m ispeed`, do.
"""

__version__ = "0.1.0"
