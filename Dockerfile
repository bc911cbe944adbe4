# The image of every Airflow service: the pinned packages, byte-code compiled (Great Expectations alone takes 15 s to
# import without), this project's DAGs and modules, and PostgreSQL's client for backups. Nothing in it belongs to the
# user that runs it; docker-compose.yaml mounts what may be written.
FROM python:3.12-slim-trixie

ENV PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/ispeed/include \
    AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/ispeed/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/ispeed/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False

# pg_dump must not be older than the server: Debian 13 has 17.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/*

# The folders belong to the user before a volume is mounted on them: a new volume takes over owner and mode.
RUN useradd --uid 50000 --no-create-home --home-dir /var/lib/airflow airflow \
    && install -d -o airflow /var/lib/airflow /var/lib/airflow/logs /scratch \
        /data/exports /data/registry /data/returns /data/boundaries /data/share \
    # What has rows and databases in it is for nobody else.
    && install -d -m 0700 -o airflow /data/lake /backups

WORKDIR /opt/ispeed
COPY requirements.txt requirements-server.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --compile \
    --requirement requirements.txt --requirement requirements-server.txt

COPY include include
COPY plugins plugins
COPY dags dags
RUN python -m compileall -q include dags plugins

USER airflow
EXPOSE 8080
CMD ["airflow", "version"]
