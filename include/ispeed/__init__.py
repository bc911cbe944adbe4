"""i-Speed monthly reports: from the portal's exports to the department's workbooks. Imports no Airflow but in airflow.py."""

__version__ = "0.1.0"
