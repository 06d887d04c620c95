-- 034: indexes of what is listed and looked up often, each with the query that it serves; rollups of vendors' answers; statistics as
-- materialized views over the rollups. What an index costs and saves is printed by `make bench BENCH=sql`.
--
-- The log is written by COPY at full speed, so that each of its B-trees is paid for by every job. The server's processor time for a row, into tables
-- of equal size, in turn (medians of 15; batches of 1,000; a row without any index 6.0 µs):
--   key 10.4 · key, failures 10.8 · key, BRIN 11.2 · key, rule 14.1 · key, rule with run 14.7 · key, rule with run, failures 14.8, with BRIN 15.6 · key, rule,
--   run by itself, failures 18.4
-- Without the index by rule a rule's or a run's page took 5 to 8 times as long in the middle, and 640 to 740 ms at worst (300,000 rows), without that of
-- failures the operators' list of all tenants' failures four times. So beside the primary key, which serves the list of a tenant newest first and the
-- lookup by job, there are two partial ones: rows of free jobs that succeeded are in neither. Both ascend as the key does: read backwards they give the
-- newest first in the order that is asked for.

set local role automation_owner;

-- ---- the log -------------------------------------------------------------------------------------------------------------------
-- By rule, newest first; by run: the run's rule and time bound the range, and run_id is compared within the index.
create index execution_logs_rule on automation.execution_logs (tenant_id, rule_id, queued_at, run_id) where rule_id is not null;
-- Attempts that went wrong, of a tenant or of all: failed, dead, parked, lost_lease.
create index execution_logs_failed on automation.execution_logs (tenant_id, queued_at, execution_id) where outcome in (1, 2, 7, 8);
-- What ran lately, of all tenants: what became of a job whose tenant is not known, in the last hour, is found in 390 pages of a month of three million rows
-- (5 ms), and without this index in all its 81,000 (255 ms). A row pays for it about a seventh of what it costs without any index.
create index execution_logs_time on automation.execution_logs using brin (queued_at) with (pages_per_range = 32, autosummarize = on);

-- ---- rules ---------------------------------------------------------------------------------------------------------------------
-- Rules that run, by what starts them; the list of ids and revisions that a cache compares comes from the index alone.
create index rules_live on automation.rules (tenant_id, trigger_type, event_type, rule_id) include (validated_revision)
    where status = 'active' and validated_revision is not null;
-- The list of a rule builder: a tenant's rules by name.
create index rules_name on automation.rules (tenant_id, name collate "C", rule_id);

-- ---- vendors' answers ------------------------------------------------------------------------------------------------------------
-- A vendor is asked when a wedding is linked to it and has answered when it is confirmed.
create table automation_priv.vendor_deltas (
    tenant_id uuid not null,
    vendor_id uuid not null,
    day date not null,
    asked integer not null,
    confirmed integer not null,
    answer integer -- bucket of the seconds between the two
);
create table automation.vendor_rollup (
    tenant_id uuid not null,
    vendor_id uuid not null,
    day date not null, -- UTC
    asked bigint not null,
    confirmed bigint not null,
    answer integer[], -- histogram of seconds
    primary key (tenant_id, vendor_id, day)
) with (fillfactor = 80);
alter table automation.vendor_rollup enable row level security;

create function automation_priv.vendor_linked() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into automation_priv.vendor_deltas (tenant_id, vendor_id, day, asked, confirmed)
    select n.tenant_id, n.vendor_id, (automation.now() at time zone 'UTC')::date, 1, n.confirmed::integer from new_rows n;
    return null;
end $$;
create trigger wedding_vendors_linked after insert on automation.wedding_vendors
    referencing new table as new_rows for each statement execute function automation_priv.vendor_linked();

create function automation_priv.vendor_answered() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    insert into automation_priv.vendor_deltas (tenant_id, vendor_id, day, asked, confirmed, answer)
    select n.tenant_id, n.vendor_id, (automation.now() at time zone 'UTC')::date, 0, 1,
           automation_priv.hist_bucket(extract(epoch from automation.now() - n.linked_at)::bigint)
    from new_rows n join old_rows o using (tenant_id, wedding_id, vendor_id, role) where n.confirmed and not o.confirmed;
    return null;
end $$;
create trigger wedding_vendors_answered after update on automation.wedding_vendors
    referencing old table as old_rows new table as new_rows for each statement execute function automation_priv.vendor_answered();

create function automation_priv.fold_vendors() returns integer
language plpgsql security definer set search_path = '' as $$
declare v_folded integer;
begin
    with taken as (
        delete from automation_priv.vendor_deltas where ctid = any (array(
            select ctid from automation_priv.vendor_deltas limit 20000 for update skip locked))
        returning tenant_id, vendor_id, day, asked, confirmed, answer),
    folded as (
        insert into automation.vendor_rollup as r (tenant_id, vendor_id, day, asked, confirmed, answer)
        select t.tenant_id, t.vendor_id, t.day, sum(t.asked), sum(t.confirmed),
               automation_priv.hist_sum(case when t.answer is not null then array_fill(1, array[1], array[t.answer]) end)
        from taken t group by 1, 2, 3 order by 1, 2, 3
        on conflict (tenant_id, vendor_id, day) do update set asked = r.asked + excluded.asked, confirmed = r.confirmed + excluded.confirmed,
            answer = coalesce(automation_priv.hist_add(r.answer, excluded.answer), r.answer, excluded.answer))
    select count(*)::integer into v_folded from taken;
    return v_folded;
end $$;

-- ---- statistics ------------------------------------------------------------------------------------------------------------------
-- Materialized views have no row-level security: they stand where no API role may look, and a security-barrier view of the same name shows a
-- tenant its own rows. Days are UTC. Percentiles in µs; the histograms stay in the materialized view, for sums over days.
create materialized view automation_priv.stats_rule as
select s.*, automation_priv.hist_percentile(took, 0.5) as took_p50_us, automation_priv.hist_percentile(took, 0.95) as took_p95_us,
       automation_priv.hist_percentile(took, 0.99) as took_p99_us, automation_priv.hist_percentile(late, 0.5) as late_p50_us,
       automation_priv.hist_percentile(late, 0.95) as late_p95_us, automation_priv.hist_percentile(late, 0.99) as late_p99_us
from (select tenant_id, (hour at time zone 'UTC')::date as day, rule_id, kind, max(trigger_type) as trigger_type, max(trigger_name) as trigger_name,
             sum(n)::bigint as n, sum(done)::bigint as done, sum(failed)::bigint as failed, sum(dead)::bigint as dead, sum(unrun)::bigint as unrun,
             sum(took_us)::bigint as took_us, automation_priv.hist_sum(took) as took, automation_priv.hist_sum(late) as late
      from automation.execution_rollup group by 1, 2, 3, 4) s;
create unique index stats_rule_key on automation_priv.stats_rule (tenant_id, day, rule_id, kind);
create index stats_rule_rule on automation_priv.stats_rule (tenant_id, rule_id, day);

create materialized view automation_priv.stats_milestone as
select s.*, automation_priv.hist_percentile(took, 0.5) as took_p50_us, automation_priv.hist_percentile(took, 0.95) as took_p95_us,
       automation_priv.hist_percentile(took, 0.99) as took_p99_us, automation_priv.hist_percentile(late, 0.5) as late_p50_us,
       automation_priv.hist_percentile(late, 0.95) as late_p95_us, automation_priv.hist_percentile(late, 0.99) as late_p99_us
from (select tenant_id, day, trigger_type, coalesce(trigger_name, '') as trigger_name,
             sum(n)::bigint as n, sum(done)::bigint as done, sum(failed)::bigint as failed, sum(dead)::bigint as dead, sum(unrun)::bigint as unrun,
             sum(took_us)::bigint as took_us, automation_priv.hist_sum(took) as took, automation_priv.hist_sum(late) as late
      from automation_priv.stats_rule where trigger_type is not null group by 1, 2, 3, 4) s;
create unique index stats_milestone_key on automation_priv.stats_milestone (tenant_id, day, trigger_type, trigger_name);

-- A year's months within and outside the tenant's season (settings.season_months, else May to October).
create materialized view automation_priv.stats_season as
select s.*, automation_priv.hist_percentile(took, 0.5) as took_p50_us, automation_priv.hist_percentile(took, 0.95) as took_p95_us,
       automation_priv.hist_percentile(took, 0.99) as took_p99_us, automation_priv.hist_percentile(late, 0.5) as late_p50_us,
       automation_priv.hist_percentile(late, 0.95) as late_p95_us, automation_priv.hist_percentile(late, 0.99) as late_p99_us
from (select d.tenant_id, extract(year from d.day)::integer as year,
             coalesce(nullif(t.settings -> 'season_months', '[]'), '[5, 6, 7, 8, 9, 10]') @> to_jsonb(extract(month from d.day)::integer) as in_season,
             sum(n)::bigint as n, sum(done)::bigint as done, sum(failed)::bigint as failed, sum(dead)::bigint as dead, sum(unrun)::bigint as unrun,
             sum(took_us)::bigint as took_us, automation_priv.hist_sum(took) as took, automation_priv.hist_sum(late) as late
      from automation_priv.stats_rule d join automation.tenants t using (tenant_id) group by 1, 2, 3) s;
create unique index stats_season_key on automation_priv.stats_season (tenant_id, year, in_season);

create materialized view automation_priv.stats_vendor as
select s.*, automation_priv.hist_percentile(answer, 0.5) as answer_p50_s, automation_priv.hist_percentile(answer, 0.95) as answer_p95_s
from (select tenant_id, vendor_id, date_trunc('month', day)::date as month, sum(asked)::bigint as asked, sum(confirmed)::bigint as confirmed,
             automation_priv.hist_sum(answer) as answer
      from automation.vendor_rollup group by 1, 2, 3) s;
create unique index stats_vendor_key on automation_priv.stats_vendor (tenant_id, vendor_id, month);

-- The metric of this name: jobs that were accepted and are neither finished nor in the ledger, or the other way round. 0, or something is lost.
create view automation.usher_unaccounted_jobs with (security_barrier = true) as
select coalesce(sum(abs(a.unaccounted)), 0)::bigint as jobs from automation_priv.audit() a;

-- Host tables, without their content: an `off` one is projected no more, one that is not `backfilled` missed something, errors wait for a repair.
create view automation.usher_sources with (security_barrier = true) as
select s.host_name, s.state, s.backfilled, count(e.id) as errors, max(e.at) as last_error_at
from automation_priv.sources s left join automation_priv.source_errors e on e.source_id = s.source_id group by s.source_id;

create view automation.stats_rule with (security_barrier = true) as
select tenant_id, day, rule_id, kind, trigger_type, trigger_name, n, done, failed, dead, unrun, took_us, took_p50_us, took_p95_us, took_p99_us,
       late_p50_us, late_p95_us, late_p99_us
from automation_priv.stats_rule where tenant_id = (select automation.jwt_tenant());
create view automation.stats_milestone with (security_barrier = true) as
select tenant_id, day, trigger_type, trigger_name, n, done, failed, dead, unrun, took_us, took_p50_us, took_p95_us, took_p99_us, late_p50_us,
       late_p95_us, late_p99_us
from automation_priv.stats_milestone where tenant_id = (select automation.jwt_tenant());
create view automation.stats_season with (security_barrier = true) as
select tenant_id, year, in_season, n, done, failed, dead, unrun, took_us, took_p50_us, took_p95_us, took_p99_us, late_p50_us, late_p95_us, late_p99_us
from automation_priv.stats_season where tenant_id = (select automation.jwt_tenant());
create view automation.stats_vendor with (security_barrier = true) as
select tenant_id, vendor_id, month, asked, confirmed, answer_p50_s, answer_p95_s
from automation_priv.stats_vendor where tenant_id = (select automation.jwt_tenant());

create table automation_priv.stats_refreshes (
    nr smallint primary key, -- the order: what others are made of first
    view text not null unique,
    refreshed_at timestamptz not null default clock_timestamp(),
    took_ms bigint not null default 0,
    n bigint not null default 0
);
insert into automation_priv.stats_refreshes (nr, view) values (1, 'stats_rule'), (2, 'stats_milestone'), (3, 'stats_season'), (4, 'stats_vendor');

-- Refreshes one view, the most overdue: each at most every p_every, and never for more than a twentieth of the time. Readers go on meanwhile.
-- Returns its name, or null: none is due, or another refreshes.
create function automation_priv.refresh_stats(p_every interval default '15 minutes') returns text
language plpgsql security definer set search_path = '' as $$
declare
    v automation_priv.stats_refreshes;
    v_from timestamptz := clock_timestamp();
    v_n bigint;
begin
    if not pg_catalog.pg_try_advisory_xact_lock(hashtextextended('automation.stats', 0)) then
        return null;
    end if;
    select * into v from automation_priv.stats_refreshes r
    where r.refreshed_at + greatest(p_every, r.took_ms * 20 * interval '1 millisecond') <= v_from order by r.refreshed_at, r.nr limit 1;
    if not found then
        return null;
    end if;
    execute format('refresh materialized view concurrently automation_priv.%I', v.view);
    execute format('select count(*) from automation_priv.%I', v.view) into v_n;
    update automation_priv.stats_refreshes r set refreshed_at = clock_timestamp(), n = v_n,
        took_ms = (extract(epoch from clock_timestamp() - v_from) * 1000)::bigint where r.nr = v.nr;
    return v.view;
end $$;

insert into automation_priv.retention (table_name, reason) values
    ('automation_priv.vendor_deltas', 'bounded: folded into vendor_rollup every few seconds'),
    ('automation_priv.stats_refreshes', 'bounded: one row a view');
insert into automation_priv.retention (table_name, stamp, keep, reason) values
    ('automation.vendor_rollup', $x$ (t.day::timestamp at time zone 'UTC') $x$, '3 years', 'analytics, as the rollups of the log');
create index vendor_rollup_day on automation.vendor_rollup ((day::timestamp at time zone 'UTC'));

do $$
declare f text;
begin
    for f in select p.oid::regprocedure from pg_catalog.pg_proc p where p.pronamespace = 'automation_priv'::regnamespace and p.prokind = 'f' loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end $$;
grant execute on function automation_priv.hist_percentile, automation_priv.hist_value, automation_priv.hist_bucket, automation_priv.hist_add, automation_priv.hist_sum
    to automation_monitor;
grant select on automation_priv.vendor_deltas, automation.vendor_rollup, automation_priv.stats_rule, automation_priv.stats_milestone,
    automation_priv.stats_season, automation_priv.stats_vendor, automation_priv.stats_refreshes to automation_scheduler, automation_monitor;
reset role;
