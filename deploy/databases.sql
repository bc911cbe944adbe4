-- Two databases and their users. PostgreSQL runs it at its first start; running it again sets the passwords anew
-- (docs/deployment.md). The names are those of docker-compose.yaml, the passwords come from the environment.
\set ON_ERROR_STOP on
\getenv superuser_password POSTGRES_PASSWORD
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv reports_password REPORTS_DB_PASSWORD
\getenv reader_password REPORTS_READER_PASSWORD
-- A password is not for the server's log, not even where a statement fails.
set log_statement = 'none';
set log_min_error_statement = 'panic';

\if :{?superuser_password}
alter role current_user password :'superuser_password';
\endif

-- Who may read the reports is granted this role; it cannot log in itself. ispeed owns the tables and grants them to it.
select 'create role ispeed_reader nologin' where not exists (select from pg_roles where rolname = 'ispeed_reader') \gexec
select format('create role %I', name)
from unnest(array['airflow', 'ispeed', 'ispeed_pages']) as name
where not exists (select from pg_roles where rolname = name) \gexec
alter role airflow login nosuperuser nocreatedb nocreaterole password :'airflow_password';
alter role ispeed login nosuperuser nocreatedb nocreaterole password :'reports_password';
alter role ispeed_pages login nosuperuser nocreatedb nocreaterole password :'reader_password';
grant ispeed_reader to ispeed_pages;

select 'create database airflow owner airflow' where not exists (select from pg_database where datname = 'airflow') \gexec
select 'create database reports owner ispeed' where not exists (select from pg_database where datname = 'reports') \gexec
revoke all on database airflow, reports, postgres, template1 from public;
grant connect on database reports to ispeed_reader;
