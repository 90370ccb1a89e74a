-- Run once by the PostgreSQL image on an empty volume: one role and its databases for Temporal, one
-- for the application; neither can read the other's. psql reads the passwords from the secrets.
\set ON_ERROR_STOP on
\set temporal_password `cat /run/secrets/temporal_database_password`
\set application_password `cat /run/secrets/database_password`

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE ROLE conveyor LOGIN PASSWORD :'application_password';
CREATE DATABASE conveyor OWNER conveyor;

REVOKE CONNECT ON DATABASE temporal, temporal_visibility, conveyor FROM PUBLIC;
