-- Security of the schema: row-level security everywhere, nothing in public, functions that can not be misled or called by anybody.
begin;
select plan(16);

select is_empty($$
    select c.oid::regclass from pg_class c
    where c.relnamespace in ('automation'::regnamespace, 'automation_part'::regnamespace) and c.relkind in ('r', 'p') and not c.relrowsecurity
$$, 'every table and leaf has row-level security');

select cmp_ok((select count(*) from pg_class where relnamespace = 'automation'::regnamespace and relkind in ('r', 'p'))::int, '>=', 20,
    'and there are tables to be looked at');

select is_empty($$
    select c.oid::regclass from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
$$, 'no table, view or sequence in public');

select is_empty($$
    select p.oid::regprocedure from pg_proc p where p.pronamespace = 'public'::regnamespace
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
$$, 'no function in public');

select is_empty($$
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace in ('automation'::regnamespace, 'automation_priv'::regnamespace)
      and p.prokind <> 'a' and not coalesce(p.proconfig, '{}') @> array['search_path=""']
$$, 'every function names its search_path');

select is_empty($$
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace in ('automation'::regnamespace, 'automation_priv'::regnamespace)
      and p.oid <> 'automation.now()'::regprocedure
      and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0 and a.privilege_type = 'EXECUTE'))
$$, 'PUBLIC may execute automation.now() alone');

select is_empty($$
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace in ('automation'::regnamespace, 'automation_priv'::regnamespace) and p.proowner <> 'automation_owner'::regrole
$$, 'every function belongs to the owner');

select is_empty($$
    select c.oid::regclass from pg_class c, aclexplode(c.relacl) a
    where c.relnamespace in ('automation'::regnamespace, 'automation_part'::regnamespace, 'automation_priv'::regnamespace)
      and c.relkind in ('r', 'p', 'v', 'm') and a.grantee = 0
$$, 'PUBLIC has no right on any table');

select set_eq($$
    select p.proname::text from pg_proc p, aclexplode(p.proacl) a
    where p.pronamespace = 'automation_priv'::regnamespace and a.grantee = 'automation_worker'::regrole
$$, array['worker_register', 'worker_beat', 'worker_leave', 'tenant_ids', 'claim_jobs', 'recheck_jobs', 'settle_jobs', 'settle_done', 'adopt_entries', 'merge_logs', 'facts'],
    'the worker calls its part of the protocol, nothing else');

select is_empty($$
    select c.oid::regclass from pg_class c
    where c.relnamespace = 'automation_priv'::regnamespace and c.relkind = 'r' and c.relname <> 'log_stage' and c.relpersistence <> 'p'
$$, 'nothing but the staging table is unlogged');

select is_empty($$
    select t.tgrelid::regclass from pg_trigger t where not t.tgisinternal and (t.tgrelid = 'automation.execution_logs'::regclass
        or t.tgrelid in (select inhrelid from pg_inherits where inhparent = 'automation.execution_logs'::regclass))
$$, 'no trigger on the log');

select is_empty($$
    select i.indexrelid::regclass from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
    where i.indrelid = 'automation_priv.ledger'::regclass and a.attname in ('owner', 'claim_no', 'claimed_at', 'acting')
$$, 'a claim touches no index of the ledger');

select is_empty($$
    select c.oid::regclass from pg_class c where c.relnamespace = 'automation'::regnamespace and c.relkind in ('r', 'p') and not exists
        (select from pg_policy p where p.polrelid = c.oid)
$$, 'every table has policies (migration 035)');

select is_empty($$
    select p.polrelid::regclass || ' ' || p.polname from pg_policy p join pg_class c on c.oid = p.polrelid
    where c.relnamespace <> 'automation'::regnamespace or p.polroles = '{0}'
       or (p.polcmd in ('w', 'a') and p.polwithcheck is null) or p.polcmd = '*'
       or (p.polroles && array['authenticated'::regrole::oid, 'automation_api'::regrole::oid]
           and coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') !~ '\( SELECT automation\.(jwt|ctx)_tenant\(\)')
$$, 'every policy names its role and one command, checks what is written, and asks for the tenant once a statement');

select is_empty($$
    select c.oid::regclass || ' ' || a.privilege_type from pg_class c, aclexplode(c.relacl) a where c.relnamespace::regnamespace::text ~ '^automation'
       and c.relkind in ('r', 'p', 'v', 'm') and a.grantee in (select oid from pg_roles where rolname in ('anon', 'authenticated', 'service_role', 'automation_api'))
       and (a.grantee = 'anon'::regrole or c.relnamespace <> 'automation'::regnamespace or a.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER'))
$$, 'no API role has a right beyond reading and writing rows of automation, anon none');

select is_empty($$
    select r.rolname from pg_roles r where pg_has_role(r.oid, 'automation_owner', 'usage') and not r.rolsuper
      and r.rolname not in ('automation_owner', 'usher_migrator') -- production's, which runs no tenant's request
$$, 'nobody is the owner unasked');

select * from finish();
rollback;
