-- As supabase/postgres sets its images up: its roles, all of public granted to all, a `postgres` that is no superuser. The last statement takes our own
-- power away; supabase_admin has it.
create role supabase_admin superuser login;
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to postgres, anon, authenticated, service_role;
alter role postgres nosuperuser createdb createrole login replication bypassrls;
