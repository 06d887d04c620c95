-- Logins of a production system, once per cluster, as a superuser (or, without `bypassrls`, any role that may create roles):
--
--     MIGRATOR_PASSWORD=… SCHEDULER_PASSWORD=… WORKER_PASSWORD=… MAINT_PASSWORD=… psql -d DATABASE -f deploy/postgres/logins.sql
--
-- Running it again sets the passwords anew. The migrations then run as usher_migrator, the programs as the other two.
\set ON_ERROR_STOP on
\getenv migrator_password MIGRATOR_PASSWORD
\getenv scheduler_password SCHEDULER_PASSWORD
\getenv worker_password WORKER_PASSWORD
\getenv maint_password MAINT_PASSWORD
\getenv monitor_password MONITOR_PASSWORD

begin;
do $$
declare r text;
begin
    foreach r in array array['automation_owner', 'automation_worker', 'automation_scheduler', 'automation_maint', 'automation_monitor', 'automation_api',
            'anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = r) then
            execute format('create role %I nologin', r);
        end if;
    end loop;
    foreach r in array array['usher_migrator', 'usher_scheduler', 'usher_worker', 'usher_maint'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = r) then
            execute format('create role %I login', r);
        end if;
    end loop;
    -- The schemas are made for automation_owner by the migrator.
    execute format('grant create on database %I to automation_owner, usher_migrator', current_database());
end $$;

-- The sweep ends the connections of frozen workers.
grant pg_signal_backend, pg_read_all_stats to automation_owner;
grant automation_owner to usher_migrator;
-- The archiver detaches partitions concurrently, which only the table's owner may and no function can: it becomes the owner by SET ROLE in its own
-- connection, and inherits nothing of it.
alter role automation_maint noinherit;
grant automation_owner to automation_maint;
grant automation_maint to usher_maint;
-- It serves the API: each request as this role, which sees the tenant that the transaction names.
grant automation_api to automation_scheduler;
grant automation_scheduler to usher_scheduler;
grant automation_worker to usher_worker;
alter role usher_migrator password :'migrator_password';
alter role usher_scheduler password :'scheduler_password';
alter role usher_worker password :'worker_password';
alter role usher_maint password :'maint_password';
-- COPY into the partitioned log needs it; without it log batches go through the staging table, which is slower.
alter role usher_worker bypassrls;
alter role usher_scheduler bypassrls;
alter role service_role bypassrls;

-- Only where MONITOR_PASSWORD is set: counts, no content.
\if :{?monitor_password}
    select not exists (select from pg_catalog.pg_roles where rolname = 'usher_monitor') as absent \gset
    \if :absent
        create role usher_monitor login;
    \endif
    grant automation_monitor, pg_monitor to usher_monitor;
    alter role usher_monitor password :'monitor_password';
\endif
commit;
