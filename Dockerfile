# The image of every Airflow service: the pinned packages, byte-code compiled (Great Expectations alone takes 15 s to
# import without), and this project's DAGs and modules.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONPATH=/opt/ispeed/include \
    AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/ispeed/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/ispeed/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False

# The folders belong to the user before a volume is mounted on them: a new volume takes over owner and mode.
RUN useradd --uid 50000 --no-create-home --home-dir /var/lib/airflow airflow \
    && install -d -o airflow /var/lib/airflow /data/exports /data/registry /data/returns /data/boundaries /data/lake /data/share

WORKDIR /opt/ispeed
COPY requirements.txt .
RUN pip install --compile --requirement requirements.txt

COPY include include
COPY plugins plugins
COPY dags dags
RUN python -m compileall -q include dags plugins

USER airflow
EXPOSE 8080
CMD ["airflow", "version"]
