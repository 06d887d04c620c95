-- 031: kinds of jobs, runs, the ledger of unfinished jobs, workers and the leader, execution logs in monthly partitions, dead
-- letters, counters. The functions at the end are the job protocol: enqueue, claim, settle, adopt, sweep (PROTOCOL.md).
--
-- Machine time (clock_timestamp()) measures leases and beats; domain time (automation.now()) decides what is due.

-- The sweep ends what frozen workers' connections hold (end_backends). Where the migrator may not grant this, they hold it until they go on.
do $$
begin
    grant pg_signal_backend, pg_read_all_stats to automation_owner;
exception when insufficient_privilege then
    raise notice 'not granted to automation_owner: pg_signal_backend, pg_read_all_stats';
end $$;

set local role automation_owner;

-- ---- kinds --------------------------------------------------------------------------------------------------------------------
-- `free` kinds are registered by services and may stand in bare stream entries; `rule` kinds are the steps of rules.
create table automation.kinds (
    kind text primary key check (kind ~ '^[a-z][a-z0-9_.-]{0,63}$'),
    class text not null check (class in ('free', 'rule')),
    queue text not null default 'default' check (queue ~ '^[a-z0-9_-]{1,32}$'),
    handler text not null check (handler in ('noop', 'http', 'drill', 'rule')),
    url text,
    timeout_ms integer not null default 30000 check (timeout_ms between 100 and 3600000),
    max_attempts smallint not null default 8 check (max_attempts between 1 and 100),
    retry_base_ms integer not null default 5000 check (retry_base_ms between 1000 and 86400000),
    retry_cap_ms integer not null default 3600000 check (retry_cap_ms between 1000 and 604800000),
    on_unknown text not null default 'retry' check (on_unknown in ('retry', 'ask')),
    outward boolean not null generated always as (handler = 'http' or kind in ('send_email', 'send_sms', 'send_form', 'send_contract', 'send_invoice',
        'request_payment', 'notify_vendor', 'notify_team', 'call_webhook')) stored, -- what it does can not be undone here
    check ((handler = 'http') = (url is not null)),
    check ((class = 'rule') = (handler = 'rule'))
);
insert into automation.kinds (kind, class, queue, handler, timeout_ms, max_attempts, retry_base_ms, retry_cap_ms) values
    ('noop', 'free', 'default', 'noop', 30000, 8, 5000, 3600000),
    ('drill', 'free', 'default', 'drill', 30000, 8, 1000, 60000),
    ('send_email', 'rule', 'default', 'rule', 60000, 14, 60000, 43200000),
    ('notify_team', 'rule', 'default', 'rule', 60000, 14, 60000, 43200000),
    ('notify_vendor', 'rule', 'default', 'rule', 60000, 14, 60000, 43200000),
    ('call_webhook', 'rule', 'default', 'rule', 30000, 10, 5000, 43200000),
    ('create_task', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('create_note', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('set_field', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('move_stage', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('add_tag', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('remove_tag', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('emit_event', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('start_rule', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('stop_rule', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('branch', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('for_each', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('wait', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000),
    ('stop', 'rule', 'default', 'rule', 30000, 8, 1000, 3600000);

-- No tenant's data, but no door either: only the programs read it directly.
alter table automation.kinds enable row level security;
create policy kinds_programs on automation.kinds for select to automation_worker, automation_scheduler, automation_monitor using (true);

-- ---- runs ---------------------------------------------------------------------------------------------------------------------
create table automation.runs (
    tenant_id uuid not null,
    run_id uuid not null, -- derived from the fire key (tenant, rule, wedding, timing or event, occurrence)
    rule_id uuid not null,
    rule_revision bigint not null,
    wedding_id uuid,
    trigger_type text not null check (trigger_type in ('milestone', 'event', 'schedule', 'webhook', 'manual')),
    trigger_ref uuid not null, -- timing or event
    trigger_seq bigint not null default 0, -- trigger_events.seq of the run's own trigger: waits look back from here
    generation smallint not null default 1, -- rises when a superseded run fires again
    due_at timestamptz not null,
    state text not null check (state in ('running', 'succeeded', 'failed', 'skipped', 'cancelled', 'superseded')),
    reason text,
    wedding_revision bigint, -- set while the run's instant still derives from the wedding's date
    wedding_status text,     -- at the start: a run begun after a cancellation is not ended by it
    failed_steps smallint not null default 0,
    acted boolean not null default false, -- an outward step was tried: the fire key is not given back any more
    hops smallint not null default 0,
    context jsonb not null default '{}',
    started_at timestamptz not null,
    finished_at timestamptz,
    primary key (tenant_id, run_id)
) with (fillfactor = 80);
create index runs_wedding on automation.runs (tenant_id, wedding_id, due_at);
create index runs_rule on automation.runs (tenant_id, rule_id, wedding_id);
create index runs_started on automation.runs (started_at); -- for the purge
alter table automation.runs enable row level security;

-- ---- the ledger -----------------------------------------------------------------------------------------------------------------
-- owner, claim_no, claimed_at, acting stand in no index: a claim is a HOT update. A batch may claim all rows of a page in one transaction,
-- so a page keeps room for a second version of each.
create table automation_priv.ledger (
    job_id uuid primary key,
    tenant_id uuid not null,
    run_id uuid,
    wedding_id uuid,
    owner uuid,
    due_at timestamptz, -- null: parked
    claimed_at timestamptz,
    acting timestamptz,
    accepted_at timestamptz not null,
    deadline timestamptz,
    revision bigint, -- the wedding's, where the job's instant derives from its date
    claim_no integer not null default 0,
    accepted_day date not null,
    timeout_ms integer not null,
    step smallint not null default 0,
    priority smallint not null default 100,
    attempt smallint not null default 1,
    max_attempts smallint not null,
    crashes smallint not null default 0,
    snoozes smallint not null default 0,
    kind text not null,
    queue text not null,
    parked_reason text,
    wait_event text,
    wake jsonb,
    due_spec jsonb, -- how due_at was derived, to derive it again when the wedding moves
    unique_key text,
    effect_key uuid not null,
    replay_of uuid, -- the dead letter that this job tries again
    aside boolean not null default false, -- a replay beside its run, which has ended or gone on: the step's effect again and nothing else
    bare_at timestamptz, -- log key of the bare entry this row was adopted from, until its first log row is written
    bare_id uuid,
    bare_entry text,
    traceparent text,
    payload bytea
) with (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.05);
create index ledger_due on automation_priv.ledger (queue, tenant_id, due_at, priority, job_id) where due_at is not null;
create index ledger_wedding on automation_priv.ledger (tenant_id, wedding_id, due_at, priority, job_id) where wedding_id is not null;
create index ledger_next on automation_priv.ledger (due_at) where due_at is not null;
create index ledger_wait on automation_priv.ledger (tenant_id, wait_event, wedding_id) where wait_event is not null;
create index ledger_queued on automation_priv.ledger (tenant_id, wedding_id) where parked_reason = 'queued';
create unique index ledger_bare on automation_priv.ledger (bare_id, bare_at) where bare_id is not null;

create table automation_priv.unique_keys (
    tenant_id uuid not null,
    kind text not null,
    key text not null,
    job_id uuid not null,
    held_until timestamptz, -- null while the job is not final
    held_for interval not null default '24 hours', -- from then on
    primary key (tenant_id, kind, key)
);
create index unique_keys_job on automation_priv.unique_keys (job_id);
create index unique_keys_held on automation_priv.unique_keys (held_until) where held_until is not null;

-- Wait steps whose row has been committed and for which the leader has not yet looked back over earlier events.
create table automation_priv.wait_checks (job_id uuid primary key);

-- ---- processes -------------------------------------------------------------------------------------------------------------------
create table automation_priv.workers (
    worker_id uuid primary key, -- a new one at each process start
    name text not null,
    queues text not null,
    started_at timestamptz not null default clock_timestamp(),
    beat_at timestamptz not null default clock_timestamp(),
    left_at timestamptz -- shut down in order, with jobs that had not ended by then: others take them at once, and it is no crash
);

create table automation_priv.leader (
    one boolean primary key default true check (one),
    term bigint not null default 0,
    name text,
    backend_pid integer,
    since timestamptz
);
insert into automation_priv.leader default values;
-- Apart from the term, which every duty transaction holds FOR SHARE: a long transaction must not hold up the beat.
create table automation_priv.leader_beat (one boolean primary key default true check (one), beat_at timestamptz not null default '-infinity');
insert into automation_priv.leader_beat default values;

create table automation_priv.beacon (
    one boolean primary key default true check (one),
    seq bigint not null default 0,
    at timestamptz not null default clock_timestamp(),
    redis_seq bigint,        -- Redis's, while the leader finds it ahead: this database was restored, or lost its last commits
    resume_until timestamptz, -- an operator's word that this is the database to go on with (restore_resume), and when it came
    outward text check (outward in ('ask', 'rerun', 'skip'))
);
insert into automation_priv.beacon default values;

-- What the rule cache has answered since the database was made: level 1 the leader's memory, 2 Redis, 3 this database. A look-up goes down the levels until one
-- hits. Counters of all leaders, a few seconds behind.
create table automation_priv.rule_cache (
    level smallint primary key check (level between 1 and 3),
    hits bigint not null default 0,
    misses bigint not null default 0,
    skipped bigint not null default 0, -- not asked: Redis was off
    failed bigint not null default 0,
    counted_at timestamptz
);
insert into automation_priv.rule_cache (level) values (1), (2), (3);

-- What came since the last call, by level.
create function automation_priv.count_rule_cache(p_term bigint, p_hits bigint[], p_misses bigint[], p_skipped bigint[], p_failed bigint[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform automation_priv.lead(p_term);
    update automation_priv.rule_cache c set hits = c.hits + p_hits[c.level], misses = c.misses + p_misses[c.level],
        skipped = c.skipped + p_skipped[c.level], failed = c.failed + p_failed[c.level], counted_at = clock_timestamp();
end $$;

-- ---- execution logs ----------------------------------------------------------------------------------------------------------------
-- No trigger, no volatile default, no foreign key, no DEFAULT partition: each would slow COPY or block archiving.
create table automation.execution_logs (
    tenant_id uuid not null,
    queued_at timestamptz not null, -- ledger: time of the claim; bare entry: time in its entry id
    execution_id uuid not null,     -- derived from (job, claim number), or from (stream, entry id, bytes)
    job_id uuid not null,
    run_id uuid,
    rule_id uuid,
    wedding_id uuid,
    worker_id uuid,
    rule_revision bigint,
    due_at timestamptz,
    started_at timestamptz,
    duration_us bigint not null,
    step smallint,
    attempt smallint not null,
    outcome smallint not null, -- PROTOCOL.md, "Outcomes"
    kind text not null,
    queue text not null,
    reason text,
    error text,
    detail jsonb,
    primary key (tenant_id, queued_at, execution_id)
) partition by range (queued_at);
alter table automation.execution_logs enable row level security;

-- A leaf's life. `attached` and `restored` leaves are part of the log. Every move is one row update, so an archiver that was killed finds where it was:
-- the catalog says what the leaf is, this table what was to become of it.
create table automation_priv.log_partitions (
    leaf text primary key,
    lo timestamptz not null,
    hi timestamptz not null,
    state text not null check (state in ('attached', 'detaching', 'detached', 'exported', 'verified', 'dropped', 'restored')),
    changed_at timestamptz not null default clock_timestamp(), -- when it came into this state
    hold_until timestamptz, -- a restored leaf is not archived again before this
    -- what its archive holds, from `exported` on
    n_rows bigint,
    digest text,
    sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
    bytes bigint,
    check (state not in ('exported', 'verified', 'dropped') or (n_rows is not null and digest is not null and sha256 is not null and bytes is not null))
);

-- One row: when the planner's statistics of the whole log were made last.
create table automation_priv.log_upkeep (one boolean primary key default true check (one), analyzed_at timestamptz not null default '-infinity');
insert into automation_priv.log_upkeep default values;

-- An empty table that can become a leaf: no indexes (ATTACH makes them), row-level security without policies, no grants, bounds as a CHECK so that ATTACH
-- does not have to read it.
create function automation_priv.make_leaf(p_leaf text, p_lo timestamptz, p_hi timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
begin
    execute format('create table automation_part.%I (like automation.execution_logs including defaults including constraints '
                   'including storage including compression)', p_leaf);
    execute format('alter table automation_part.%I enable row level security', p_leaf);
    execute format('alter table automation_part.%I add constraint %I check (queued_at >= %L and queued_at < %L)', p_leaf, p_leaf || '_bounds', p_lo, p_hi);
end $$;

-- LIKE + ATTACH takes SHARE UPDATE EXCLUSIVE on the parent; PARTITION OF would block every reader and writer.
create function automation_priv.attach_leaf(p_leaf text, p_lo timestamptz, p_hi timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
begin
    execute format('alter table automation.execution_logs attach partition automation_part.%I for values from (%L) to (%L)', p_leaf, p_lo, p_hi);
    update automation_priv.log_upkeep set analyzed_at = '-infinity';
end $$;

-- Makes the partition of a month that has never had one (what was archived stays archived); its name, or null.
create function automation_priv.ensure_partition(p_month date) returns text
language plpgsql security definer set search_path = '' set lock_timeout = '2s' as $$
declare
    v_leaf text := format('execution_logs_%s', to_char(p_month, 'YYYY_MM'));
    lo timestamptz := date_trunc('month', p_month::timestamp) at time zone 'UTC';
    hi timestamptz := (date_trunc('month', p_month::timestamp) + interval '1 month') at time zone 'UTC';
begin
    perform pg_catalog.pg_advisory_xact_lock(hashtextextended('automation.partitions', 0));
    if exists (select from automation_priv.log_partitions p where p.leaf = v_leaf) then
        return null;
    end if;
    perform automation_priv.make_leaf(v_leaf, lo, hi);
    perform automation_priv.attach_leaf(v_leaf, lo, hi);
    insert into automation_priv.log_partitions (leaf, lo, hi, state) values (v_leaf, lo, hi, 'attached');
    return v_leaf;
end $$;

-- Partitions from the month of p_from to three months after p_to; returns how many were new.
create function automation_priv.ensure_partitions(p_from timestamptz, p_to timestamptz) returns integer
language sql security definer set search_path = '' as $$
    select count(automation_priv.ensure_partition(m::date))::integer
    from generate_series(date_trunc('month', p_from at time zone 'UTC'),
                         date_trunc('month', p_to at time zone 'UTC') + interval '3 months', interval '1 month') m
$$;
select automation_priv.ensure_partitions(statement_timestamp() - interval '1 month', statement_timestamp());

-- Until when every instant from p_at on has a partition; null: p_at itself has none. Fewer than 45 days ahead is an alarm.
create function automation_priv.log_runway(p_at timestamptz default clock_timestamp()) returns timestamptz
language sql stable security definer set search_path = '' as $$
    with recursive held(hi) as (
        select p.hi from automation_priv.log_partitions p where p.state in ('attached', 'restored') and p_at >= p.lo and p_at < p.hi
        union all
        select p.hi from held h join automation_priv.log_partitions p on p.lo = h.hi and p.state in ('attached', 'restored'))
    select max(hi) from held
$$;

-- Statistics of the whole log, which autovacuum never makes: after a partition was attached, and when they are older than p_every. True: made.
create function automation_priv.analyze_logs(p_every interval default '7 days') returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (select from automation_priv.log_upkeep u where u.analyzed_at < clock_timestamp() - p_every) then
        return false;
    end if;
    analyze automation.execution_logs;
    update automation_priv.log_upkeep set analyzed_at = clock_timestamp();
    return true;
end $$;

-- The portable way into the log for roles that COPY may not use (0A000 without BYPASSRLS) and for repeated keys.
create unlogged table automation_priv.log_stage (batch_id uuid not null, like automation.execution_logs);

create table automation_priv.log_quarantine (
    id bigint generated always as identity primary key,
    tenant_id uuid,
    job_id uuid,
    reason text not null, -- 'no partition for queued_at': can be replayed
    row_data jsonb not null,
    at timestamptz not null default clock_timestamp()
);

-- Moves a staged batch into the log; rows whose month has no partition go to quarantine. Returns the rows newly logged. One statement, hence one
-- snapshot: a month that is being detached meanwhile either takes a row, or quarantine does, or all of it fails and is repeated.
create function automation_priv.merge_logs(p_batch uuid) returns integer
language plpgsql security definer set search_path = '' as $$
declare n integer;
begin
    with staged as (delete from automation_priv.log_stage s where s.batch_id = p_batch returning s.*),
    routed as (
        select s.*, exists (select from automation_priv.log_partitions p where p.state in ('attached', 'restored') and s.queued_at >= p.lo
            and s.queued_at < p.hi) as has_leaf
        from staged s),
    late as (
        insert into automation_priv.log_quarantine (tenant_id, job_id, reason, row_data)
        select r.tenant_id, r.job_id, 'no partition for queued_at', to_jsonb(r) - 'batch_id' - 'has_leaf' from routed r where not r.has_leaf),
    logged as (
        insert into automation.execution_logs
        select r.tenant_id, r.queued_at, r.execution_id, r.job_id, r.run_id, r.rule_id, r.wedding_id, r.worker_id, r.rule_revision, r.due_at,
               r.started_at, r.duration_us, r.step, r.attempt, r.outcome, r.kind, r.queue, r.reason, r.error, r.detail
        from routed r where r.has_leaf order by r.tenant_id, r.queued_at, r.execution_id
        on conflict do nothing
        returning tenant_id, rule_id, queued_at, kind, outcome, due_at, started_at, duration_us),
    counted as (
        insert into automation_priv.rollup_deltas (n, tenants, rules, hours, kinds, codes, counts, us)
        select count(*), array_agg(l.tenant_id), array_agg(coalesce(l.rule_id, '00000000-0000-0000-0000-000000000000')),
               array_agg(floor(extract(epoch from l.queued_at) / 3600)::integer), array_agg(l.kind),
               array_agg(automation_priv.rollup_code(l.outcome, l.due_at, l.started_at, l.duration_us)), array_agg(1), array_agg(l.duration_us)
        from logged l having count(*) > 0)
    select count(*)::integer into n from logged;
    return n;
end $$;

-- Puts rows that came too late or too early for their partition into the log, where there is one by now; p_limit at a time. `repeated`: their key
-- stands in the log already.
create function automation_priv.replay_quarantine(p_limit integer default 10000) returns table (replayed integer, repeated integer)
language plpgsql security definer set search_path = '' as $$
declare
    v_batch uuid := gen_random_uuid();
    n integer;
begin
    with picked as (
        select q.id from automation_priv.log_quarantine q
        where q.reason = 'no partition for queued_at' and exists (
            select from automation_priv.log_partitions p where p.state in ('attached', 'restored')
              and (q.row_data ->> 'queued_at')::timestamptz >= p.lo and (q.row_data ->> 'queued_at')::timestamptz < p.hi)
        order by q.id limit p_limit for update of q skip locked),
    taken as (delete from automation_priv.log_quarantine q using picked p where q.id = p.id returning q.row_data)
    insert into automation_priv.log_stage select v_batch, r.* from taken t, jsonb_populate_record(null::automation.execution_logs, t.row_data) r;
    get diagnostics n = row_count;
    replayed := automation_priv.merge_logs(v_batch);
    repeated := n - replayed;
    return next;
end $$;

-- ---- archiving: the moves of a leaf (common/io/archive.h) ---------------------------------------------------------------------------------
-- Steps that are due, oldest month first. A month is over when p_after has passed since its end, counted on UTC's calendar.
create function automation_priv.partitions_due(p_now timestamptz, p_after interval, p_grace interval)
returns table (leaf text, lo timestamptz, hi timestamptz, state text, step text)
language sql stable security definer set search_path = '' as $$
    select p.leaf, p.lo, p.hi, p.state, case when p.state = 'exported' then 'verify' when p.state = 'verified' then 'drop' else 'archive' end
    from automation_priv.log_partitions p
    where case p.state
        when 'attached' then p.hi <= ((p_now at time zone 'UTC') - p_after) at time zone 'UTC'
        when 'restored' then p.hi <= ((p_now at time zone 'UTC') - p_after) at time zone 'UTC' and coalesce(p.hold_until, '-infinity') <= p_now
        when 'verified' then p.changed_at + p_grace <= p_now
        else p.state in ('detaching', 'detached', 'exported') end
    order by p.lo
$$;

-- What the leaf is: attached | pending (a DETACH CONCURRENTLY that has to be finalized) | alone | gone.
create function automation_priv.leaf_actual(p_leaf text) returns text
language sql stable security definer set search_path = '' as $$
    select case when c.oid is null then 'gone' when i.inhrelid is null then 'alone' when i.inhdetachpending then 'pending' else 'attached' end
    from (select 1) one
    left join pg_catalog.pg_class c on c.relnamespace = 'automation_part'::regnamespace and c.relname = p_leaf and c.relkind = 'r'
    left join pg_catalog.pg_inherits i on i.inhrelid = c.oid and i.inhparent = 'automation.execution_logs'::regclass
$$;

-- The only way from state to state; refuses any move that is not in the list, and from a state that is not the leaf's.
create function automation_priv.move_leaf(p_leaf text, p_from text, p_to text) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if (p_from, p_to) not in (('attached', 'detaching'), ('restored', 'detaching'), ('detaching', 'detached'), ('detached', 'exported'),
            ('exported', 'verified'), ('exported', 'detached'), ('verified', 'detached'), ('verified', 'dropped'),
            ('detached', 'restored'), ('exported', 'restored'), ('verified', 'restored'), ('dropped', 'restored')) then
        raise exception 'a partition does not go from % to %', p_from, p_to using errcode = '55000';
    end if;
    if p_to = 'detaching' and exists (select from automation_priv.log_partitions p where p.leaf = p_leaf and p.hi > clock_timestamp()) then
        raise exception 'partition % is written to until its month is over', p_leaf using errcode = '55000', hint = 'Only months that are over leave the log.';
    end if;
    update automation_priv.log_partitions set state = p_to, changed_at = clock_timestamp() where leaf = p_leaf and state = p_from;
    if not found then
        raise exception 'partition % is not %', p_leaf, p_from using errcode = '55000';
    end if;
end $$;

-- Drop and book-keeping in one transaction: there is no state between them.
create function automation_priv.drop_leaf(p_leaf text) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform automation_priv.move_leaf(p_leaf, 'verified', 'dropped');
    if automation_priv.leaf_actual(p_leaf) <> 'alone' then
        raise exception 'partition % is % and not detached', p_leaf, automation_priv.leaf_actual(p_leaf) using errcode = '55000';
    end if;
    execute format('drop table automation_part.%I', p_leaf);
end $$;

-- Number of rows, a digest that does not depend on their order, and rows per tenant. SHA-256 and not hashtext, which may differ between PostgreSQL's
-- versions; over the row as the protocol sends it, which costs half of its text and knows no TimeZone or DateStyle; client_encoding must be UTF8.
-- `offset 0`: otherwise the hash is worked out once for each aggregate.
create function automation_priv.leaf_facts(p_table regclass, p_columns text[]) returns table (n_rows bigint, digest text, tenants jsonb)
language plpgsql stable set search_path = '' as $$
begin
    return query execute format($q$
        select coalesce(sum(n), 0)::bigint, coalesce(to_hex(bit_xor(x)), '0') || ':' || coalesce(sum(s), 0),
               coalesce(jsonb_object_agg(tenant_id, n), '{}')
        from (select d.tenant_id, count(*) as n, bit_xor(d.h) as x, sum(d.h) as s
              from (select r.tenant_id, ('x' || encode(substr(sha256(record_send(row(%s))), 1, 8), 'hex'))::bit(64)::bigint as h
                    from %s r offset 0) d
              group by d.tenant_id) t
        $q$, (select string_agg(format('r.%I', c), ', ' order by i) from unnest(p_columns) with ordinality as x(c, i)), p_table);
end $$;

-- ---- dead letters and accounting ------------------------------------------------------------------------------------------------------
create table automation.dead_letters (
    tenant_id uuid not null,
    job_id uuid not null,
    kind text not null,
    queue text not null,
    reason text not null, -- exhausted permanent poison forged malformed unknown_kind unknown_action unknown_tenant unknown_outcome
    error text,
    attempt smallint not null,
    crashes smallint not null,
    run_id uuid,
    step smallint,
    wedding_id uuid,
    effect_key uuid not null,
    payload bytea,
    source_entry text, -- stream and id of the entry it came from
    source_raw bytea,  -- the entry's bytes, where they could not be read
    accepted_at timestamptz not null,
    died_at timestamptz not null,
    deadline timestamptz,
    priority smallint not null default 100, -- of the job, as its deadline: a replay has both
    ended_run boolean not null default false, -- the run stopped at this step
    replays smallint not null default 0,
    replayed_as uuid, -- the last replay
    discarded_at timestamptz,
    fed boolean not null default false, -- copied into the stream for onlookers
    primary key (tenant_id, job_id)
);
create index dead_letters_died on automation.dead_letters (tenant_id, died_at desc);
create index dead_letters_job on automation.dead_letters (job_id);
create index dead_letters_run on automation.dead_letters (tenant_id, run_id) where run_id is not null;
create index dead_letters_unfed on automation.dead_letters (died_at, job_id) where not fed;
alter table automation.dead_letters enable row level security;

-- Appended by every transaction that accepts or ends jobs, never indexed; folded into job_counts by the leader.
create table automation_priv.job_deltas (
    tenant_id uuid not null,
    day date not null,
    outcome text not null,
    n integer not null
);
create table automation.job_counts (
    tenant_id uuid not null,
    day date not null,
    outcome text not null check (outcome in ('accepted', 'done', 'dead', 'cancelled', 'superseded', 'skipped')),
    n bigint not null,
    primary key (tenant_id, day, outcome)
) with (fillfactor = 70);
alter table automation.job_counts enable row level security;

create function automation_priv.fold_deltas() returns integer
language sql security definer set search_path = '' as $$
    with taken as (
        delete from automation_priv.job_deltas where ctid = any (array(
            select ctid from automation_priv.job_deltas limit 20000 for update skip locked))
        returning tenant_id, day, outcome, n),
    folded as (
        insert into automation.job_counts as c (tenant_id, day, outcome, n)
        select tenant_id, day, outcome, sum(n) from taken group by 1, 2, 3 order by 1, 2, 3
        on conflict (tenant_id, day, outcome) do update set n = c.n + excluded.n
        returning 1)
    select count(*)::integer from taken
$$;

-- One row per tenant and day of acceptance, in one snapshot. unaccounted = accepted − everything that is known.
create function automation_priv.audit(p_tenant uuid default null)
returns table (tenant_id uuid, day date, accepted bigint, done bigint, dead bigint, cancelled bigint, superseded bigint,
               skipped bigint, in_flight bigint, waiting bigint, unaccounted bigint)
language sql stable security definer set search_path = '' as $$
    with facts as (
        select c.tenant_id, c.day, c.outcome, c.n from automation.job_counts c where p_tenant is null or c.tenant_id = p_tenant
        union all
        select d.tenant_id, d.day, d.outcome, d.n from automation_priv.job_deltas d where p_tenant is null or d.tenant_id = p_tenant
        union all
        -- Counted before it is joined: each row of a long ledger beside the rest costs almost twice as much.
        select l.tenant_id, l.accepted_day, case when l.waits then 'waiting' else 'in_flight' end, l.n
        from (select x.tenant_id, x.accepted_day, x.owner is null as waits, count(*) as n from automation_priv.ledger x
              where p_tenant is null or x.tenant_id = p_tenant group by 1, 2, 3) l),
    wide as (
        select f.tenant_id, f.day,
            coalesce(sum(n) filter (where outcome = 'accepted'), 0)::bigint as accepted,
            coalesce(sum(n) filter (where outcome = 'done'), 0)::bigint as done,
            coalesce(sum(n) filter (where outcome = 'dead'), 0)::bigint as dead,
            coalesce(sum(n) filter (where outcome = 'cancelled'), 0)::bigint as cancelled,
            coalesce(sum(n) filter (where outcome = 'superseded'), 0)::bigint as superseded,
            coalesce(sum(n) filter (where outcome = 'skipped'), 0)::bigint as skipped,
            coalesce(sum(n) filter (where outcome = 'in_flight'), 0)::bigint as in_flight,
            coalesce(sum(n) filter (where outcome = 'waiting'), 0)::bigint as waiting
        from facts f group by 1, 2)
    select w.*, w.accepted - w.done - w.dead - w.cancelled - w.superseded - w.skipped - w.in_flight - w.waiting from wide w order by 1, 2
$$;

-- ---- rollups ---------------------------------------------------------------------------------------------------------------------------
-- Histograms that can be added up: an integer[] whose subscripts are the buckets, four to an octave, as in common/core/hist.h. One value is
-- '[17:17]={1}': only what was seen takes room.
create function automation_priv.hist_bucket(p_value bigint) returns integer
language sql immutable strict parallel safe set search_path = '' as $$
    select case when p_value < 4 then greatest(p_value, 0)::integer
        else least(163, (o.octave - 1) * 4 + ((p_value >> (o.octave - 2)) & 3)::integer) end
    from (select 64 - position(B'1' in p_value::bit(64)) as octave) o
$$;
create function automation_priv.hist_value(p_bucket integer) returns bigint
language sql immutable strict parallel safe set search_path = '' as $$
    select case when p_bucket < 4 then p_bucket
        else ((4 + p_bucket % 4)::bigint << (p_bucket / 4 - 1)) + ((1::bigint << (p_bucket / 4 - 1)) - 1) / 2 end
$$;
create function automation_priv.hist_add(a integer[], b integer[]) returns integer[]
language plpgsql immutable strict parallel safe set search_path = '' as $$
begin
    for i in array_lower(b, 1) .. array_upper(b, 1) loop
        if b[i] > 0 then
            a[i] := coalesce(a[i], 0) + b[i]; -- beyond its bounds the array grows, with nulls in between
        end if;
    end loop;
    return a;
end $$;
create aggregate automation_priv.hist_sum(integer[]) (sfunc = automation_priv.hist_add, stype = integer[], combinefunc = automation_priv.hist_add, parallel = safe);
-- The middle of the bucket in which the share p (0 to 1) of all is reached.
create function automation_priv.hist_percentile(p_hist integer[], p_share double precision) returns bigint
language plpgsql immutable strict parallel safe set search_path = '' as $$
declare
    v_total bigint := 0;
    v_seen bigint := 0;
    n integer;
begin
    foreach n in array p_hist loop
        v_total := v_total + coalesce(n, 0);
    end loop;
    if v_total > 0 then
        for i in array_lower(p_hist, 1) .. array_upper(p_hist, 1) loop
            v_seen := v_seen + coalesce(p_hist[i], 0);
            if v_seen > 0 and v_seen >= ceil(p_share * v_total) then
                return automation_priv.hist_value(i);
            end if;
        end loop;
    end if;
    return null;
end $$;

-- One row for each logged batch, appended in the batch's transaction and never indexed; its columns are parallel arrays. A row for each
-- log row would cost the worker about a microsecond a job more.
create table automation_priv.rollup_deltas (
    n integer not null, -- groups: the length of each array
    tenants uuid[] not null,
    rules uuid[] not null, -- zero: a free job's
    hours integer[] not null, -- of queued_at, since 1970
    kinds text[] not null,
    codes integer[] not null, -- outcome * 65536 + bucket of the duration * 256 + bucket of the lateness; 255: none
    counts integer[] not null,
    us bigint[] not null -- durations added up
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
-- Larger batches go out of line; compressing what lives for seconds would cost more than it saves.
alter table automation_priv.rollup_deltas alter tenants set storage external, alter rules set storage external, alter hours set storage external,
    alter kinds set storage external, alter codes set storage external, alter counts set storage external, alter us set storage external;

create table automation.execution_rollup (
    tenant_id uuid not null,
    rule_id uuid not null, -- zero: free jobs
    hour timestamptz not null,
    kind text not null,
    trigger_type text, -- of the rule, when the row was made; null: a free job's, or the rule is gone
    trigger_name text, -- its milestone or event type
    n bigint not null, -- attempts; those that are none of the following were snoozed, parked or lost
    done bigint not null,
    failed bigint not null,
    dead bigint not null,
    unrun bigint not null, -- cancelled, superseded, skipped
    took_us bigint not null,
    took integer[], -- histograms, of attempts that ran
    late integer[], -- between due and started
    primary key (tenant_id, rule_id, hour, kind)
) with (fillfactor = 70);
alter table automation.execution_rollup enable row level security;

-- What a log row counts as.
create function automation_priv.rollup_code(p_outcome smallint, p_due timestamptz, p_started timestamptz, p_us bigint) returns integer
language sql immutable parallel safe set search_path = '' as $$
    select p_outcome * 65536
        + 256 * case when p_started is null then 255 else automation_priv.hist_bucket(p_us) end
        + coalesce(automation_priv.hist_bucket((extract(epoch from p_started - p_due) * 1000000)::bigint), 255)
$$;

-- Folds deltas of about p_groups groups; returns how many they had.
create function automation_priv.fold_rollups(p_groups integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare v_folded integer;
begin
    with taken as (
        delete from automation_priv.rollup_deltas where ctid = any (array(
            select s.ctid from (
                select b.ctid, b.n, sum(b.n) over (rows unbounded preceding) as upto from (
                    select ctid, n from automation_priv.rollup_deltas limit 5000 for update skip locked) b) s
            where s.upto - s.n < p_groups))
        returning n, tenants, rules, hours, kinds, codes, counts, us),
    merged as (
        select e.tenant_id, e.rule_id, e.hour, e.kind, e.code, sum(e.n)::integer as n, sum(e.us)::bigint as us
        from taken t cross join lateral unnest(t.tenants, t.rules, t.hours, t.kinds, t.codes, t.counts, t.us)
            as e(tenant_id, rule_id, hour, kind, code, n, us)
        group by 1, 2, 3, 4, 5),
    cells as (
        select m.tenant_id, m.rule_id, m.hour, m.kind, m.n, m.us, m.code >> 16 as outcome,
            case when (m.code >> 8) & 255 < 255 then array_fill(m.n, array[1], array[(m.code >> 8) & 255]) end as took,
            case when m.code & 255 < 255 then array_fill(m.n, array[1], array[m.code & 255]) end as late
        from merged m),
    sums as (
        select c.tenant_id, c.rule_id, c.hour, c.kind, sum(c.n) as n, coalesce(sum(c.n) filter (where c.outcome = 0), 0) as done,
            coalesce(sum(c.n) filter (where c.outcome = 1), 0) as failed, coalesce(sum(c.n) filter (where c.outcome = 2), 0) as dead,
            coalesce(sum(c.n) filter (where c.outcome in (3, 4, 5)), 0) as unrun, sum(c.us) as us,
            automation_priv.hist_sum(c.took) as took, automation_priv.hist_sum(c.late) as late
        from cells c group by 1, 2, 3, 4),
    folded as (
        insert into automation.execution_rollup as r (tenant_id, rule_id, hour, kind, trigger_type, trigger_name, n, done, failed, dead, unrun,
                took_us, took, late)
        select s.tenant_id, s.rule_id, to_timestamp(s.hour * 3600.0), s.kind, u.trigger_type,
               case u.trigger_type when 'milestone' then u.definition #>> '{trigger,milestone}' else u.event_type end,
               s.n, s.done, s.failed, s.dead, s.unrun, s.us, s.took, s.late
        from sums s left join automation.rules u on u.tenant_id = s.tenant_id and u.rule_id = s.rule_id
        order by 1, 2, 3, 4
        on conflict (tenant_id, rule_id, hour, kind) do update set n = r.n + excluded.n, done = r.done + excluded.done,
            failed = r.failed + excluded.failed, dead = r.dead + excluded.dead, unrun = r.unrun + excluded.unrun, took_us = r.took_us + excluded.took_us,
            took = coalesce(automation_priv.hist_add(r.took, excluded.took), r.took, excluded.took),
            late = coalesce(automation_priv.hist_add(r.late, excluded.late), r.late, excluded.late))
    select coalesce(sum(t.n), 0)::integer into v_folded from taken t;
    return v_folded;
end $$;

-- Tells a listening leader that there may be work. Constant payload (merged within a transaction, and no tenant's data where any role may
-- listen); can be switched off, since the leader polls every second anyway: NOTIFY serialises the commits of those who ring it.
create table automation_priv.switches (
    one boolean primary key default true check (one),
    notify boolean not null default true
);
insert into automation_priv.switches default values;
create function automation_priv.wake() returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform pg_catalog.pg_notify('automation_wake', '') from automation_priv.switches where notify;
end $$;

-- ---- the SQL door -----------------------------------------------------------------------------------------------------------------------
-- Takes a unique key for a job: null, or the job that holds it. A row is locked only when its time is over: who ends the holder, in one
-- transaction with other jobs, must not wait for a stranger's transaction that asked for the key.
create function automation_priv.take_key(p_tenant uuid, p_kind text, p_key text, p_job uuid, p_for interval, p_now timestamptz) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    v_holder uuid;
begin
    loop
        insert into automation_priv.unique_keys (tenant_id, kind, key, job_id, held_for)
        values (p_tenant, p_kind, p_key, p_job, p_for) on conflict do nothing;
        if found then return null; end if;
        update automation_priv.unique_keys u set job_id = p_job, held_until = null, held_for = p_for
        where u.tenant_id = p_tenant and u.kind = p_kind and u.key = p_key and u.held_until <= p_now;
        if found then return null; end if;
        select u.job_id into v_holder from automation_priv.unique_keys u where u.tenant_id = p_tenant and u.kind = p_kind and u.key = p_key;
        if found then return v_holder; end if; -- else it was purged between
    end loop;
end $$;

-- What is wrong with a job that a program asks for, in words; null: nothing. The limits are those of bare entries (common/core/envelope.c).
create function automation_priv.job_fault(p_kind text, p_class text, p_payload jsonb, p_tenant uuid, p_tenant_known boolean, p_run_at timestamptz,
    p_deadline timestamptz, p_queue text, p_priority integer, p_max_attempts integer, p_timeout_ms integer) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return case
        when p_class is null then format('unknown kind %s: register it in automation.kinds first', quote_nullable(p_kind))
        when p_class <> 'free' then format('kind %s is a step of rules and can not be enqueued by itself', quote_literal(p_kind))
        when jsonb_typeof(p_payload) is distinct from 'object' then format('payload %s: an object is expected', coalesce(left(p_payload::text, 40), 'NULL'))
        when octet_length(p_payload::text) > 262144 then format('payload of %s bytes: at most 262144 are allowed', octet_length(p_payload::text))
        when not p_tenant_known then format('unknown tenant %s', coalesce(p_tenant::text, 'NULL'))
        when not isfinite(p_run_at) then format('run_at %s: an instant is expected', p_run_at)
        when not isfinite(p_deadline) then format('deadline %s: an instant is expected', p_deadline)
        when p_run_at > p_deadline then format('run_at %s: behind the deadline %s', p_run_at, p_deadline)
        when p_queue !~ '^[a-z0-9_-]{1,32}$' then format('queue %s: 1 to 32 of a-z 0-9 _ - are allowed', quote_literal(p_queue))
        when (p_priority between 0 and 1000) is not true then format('priority %s: 0 to 1000 are allowed', coalesce(p_priority::text, 'NULL'))
        when p_max_attempts not between 1 and 100 then format('max_attempts %s: 1 to 100 are allowed', p_max_attempts)
        when p_timeout_ms not between 1 and 3600000 then format('timeout_ms %s: 1 to 3600000 are allowed', p_timeout_ms) end;
end $$;

-- An id for a job (UUID 7): time first, so that jobs that came together stand together in the ledger and its keys, however long that is.
create function automation_priv.new_job_id() returns uuid language sql volatile set search_path = '' as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
        substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- W3C Trace Context, version 00; what has another form is left out, as it says.
create function automation_priv.traceparent(p_text text) returns text language sql immutable set search_path = '' as $$
    select case when p_text ~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' then p_text end
$$;

-- Enqueues one free job in the caller's transaction. A unique key that is held returns the job that holds it and created = false.
create function automation.enqueue_job(
    p_kind text, p_payload jsonb default '{}', p_tenant uuid default '00000000-0000-0000-0000-000000000000',
    p_run_at timestamptz default null, p_queue text default null, p_priority integer default 100, p_unique_key text default null,
    p_unique_for interval default '24 hours', p_deadline timestamptz default null, p_wedding uuid default null,
    p_max_attempts integer default null, p_timeout_ms integer default null, p_traceparent text default null,
    p_job_id uuid default null)
returns table (job_id uuid, created boolean)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    k automation.kinds;
    v_id uuid := coalesce(p_job_id, automation_priv.new_job_id());
    v_now timestamptz := automation.now();
    v_held uuid;
    v_fault text;
begin
    select * into k from automation.kinds where kind = p_kind;
    v_fault := automation_priv.job_fault(p_kind, k.class, p_payload, p_tenant, exists (select from automation.tenants t where t.tenant_id = p_tenant),
        p_run_at, p_deadline, p_queue, p_priority, p_max_attempts, p_timeout_ms);
    if v_fault is not null then
        raise exception '%', v_fault using errcode = '22023';
    elsif p_wedding is not null and not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding) then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = '22023';
    elsif p_unique_key is not null and octet_length(p_unique_key) not between 1 and 200 then
        raise exception 'unique key of % bytes: 1 to 200 are allowed', octet_length(p_unique_key) using errcode = '22023';
    elsif (p_unique_for between '0' and '366 days') is not true then
        raise exception 'unique_for %: 0 to 366 days are allowed', coalesce(p_unique_for::text, 'NULL') using errcode = '22023';
    end if;
    if p_unique_key is not null then
        v_held := automation_priv.take_key(p_tenant, p_kind, p_unique_key, v_id, p_unique_for, v_now);
        if v_held is not null then
            return query select v_held, false;
            return;
        end if;
    end if;
    insert into automation_priv.ledger (job_id, tenant_id, wedding_id, due_at, accepted_at, deadline, accepted_day, timeout_ms, priority,
            max_attempts, kind, queue, unique_key, effect_key, traceparent, payload)
    values (v_id, p_tenant, p_wedding, coalesce(p_run_at, v_now), v_now, p_deadline, (v_now at time zone 'UTC')::date,
            coalesce(p_timeout_ms, k.timeout_ms), p_priority::smallint, coalesce(p_max_attempts, k.max_attempts)::smallint, k.kind,
            coalesce(p_queue, k.queue), p_unique_key, v_id, automation_priv.traceparent(p_traceparent), convert_to(p_payload::text, 'UTF8'))
    on conflict on constraint ledger_pkey do nothing;
    if not found then
        raise exception 'job % is there already', v_id using errcode = '23505';
    end if;
    insert into automation_priv.job_deltas values (p_tenant, (v_now at time zone 'UTC')::date, 'accepted', 1);
    perform automation_priv.wake();
    return query select v_id, true;
end $$;
grant execute on function automation.enqueue_job to automation_worker, automation_scheduler;

-- Many jobs at once: [{"kind": …, "payload": …, "tenant": …, "run_at": …, "queue": …, "priority": …, "deadline": …, "wedding": …, "max_attempts": …,
-- "timeout_ms": …, "traceparent": …, "job_id": …}, …]. One statement, all or nothing; unique keys are not taken (use enqueue_job), and a field that is not
-- one of these is refused. Returns the number of jobs.
create function automation.enqueue_jobs(p_jobs jsonb) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    v_bad text;
    n integer;
begin
    if jsonb_typeof(p_jobs) is distinct from 'array' then
        raise exception 'jobs %: an array of objects is expected', coalesce(left(p_jobs::text, 40), 'NULL') using errcode = '22023';
    end if;
    with asked as materialized (
        select x.i, coalesce(x.job_id, automation_priv.new_job_id()) as job_id, coalesce(x.tenant, '00000000-0000-0000-0000-000000000000') as tenant, x.wedding,
               coalesce(x.run_at, v_now) as due_at, x.deadline, coalesce(x.queue, k.queue) as queue, coalesce(x.priority, 100) as priority, x.kind,
               coalesce(x.timeout_ms, k.timeout_ms) as timeout_ms, coalesce(x.max_attempts, k.max_attempts) as max_attempts,
               coalesce(x.payload, '{}') as payload, x.traceparent, k.class,
               x.j - array['kind', 'payload', 'tenant', 'run_at', 'queue', 'priority', 'deadline', 'wedding', 'max_attempts', 'timeout_ms', 'traceparent', 'job_id'] as others
        from rows from (jsonb_to_recordset(p_jobs) as (kind text, payload jsonb, tenant uuid, run_at timestamptz, queue text, priority integer, deadline timestamptz,
                wedding uuid, max_attempts integer, timeout_ms integer, traceparent text, job_id uuid), jsonb_array_elements(p_jobs)) with ordinality
            as x(kind, payload, tenant, run_at, queue, priority, deadline, wedding, max_attempts, timeout_ms, traceparent, job_id, j, i)
        left join automation.kinds k on k.kind = x.kind),
    bad as materialized (
        select a.i, f.fault from asked a left join automation.tenants t on t.tenant_id = a.tenant
        cross join lateral (select case
            when a.wedding is not null and not exists (select from automation.weddings w where w.tenant_id = a.tenant and w.wedding_id = a.wedding)
                then format('tenant %s has no wedding %s', a.tenant, a.wedding)
            when a.others <> '{}' then format('field %s is none of a job''s', (select quote_ident(min(o)) from jsonb_object_keys(a.others) o))
            else automation_priv.job_fault(a.kind, a.class, a.payload, a.tenant, t.tenant_id is not null, a.due_at, a.deadline, a.queue, a.priority, a.max_attempts,
                a.timeout_ms) end as fault) f
        where f.fault is not null order by a.i limit 1),
    ins as (
        insert into automation_priv.ledger (job_id, tenant_id, wedding_id, due_at, accepted_at, deadline, accepted_day, timeout_ms, priority, max_attempts, kind,
                queue, effect_key, traceparent, payload)
        select job_id, tenant, wedding, due_at, v_now, deadline, (v_now at time zone 'UTC')::date, timeout_ms, priority::smallint, max_attempts::smallint, kind,
               queue, job_id, automation_priv.traceparent(traceparent), convert_to(payload::text, 'UTF8')
        from asked where not exists (select from bad) order by job_id
        returning tenant_id),
    counted as (insert into automation_priv.job_deltas select tenant_id, (v_now at time zone 'UTC')::date, 'accepted', count(*) from ins group by 1)
    select (select format('job %s: %s', b.i - 1, b.fault) from bad b), (select count(*) from ins) into v_bad, n;
    if v_bad is not null then
        raise exception '%', v_bad using errcode = '22023';
    end if;
    perform automation_priv.wake();
    return n;
end $$;
grant execute on function automation.enqueue_jobs to automation_worker, automation_scheduler;

-- ---- workers -------------------------------------------------------------------------------------------------------------------------
create function automation_priv.worker_register(p_worker uuid, p_name text, p_queues text) returns void
language sql security definer set search_path = '' as $$
    insert into automation_priv.workers (worker_id, name, queues) values (p_worker, p_name, p_queues)
$$;
-- False when the row is gone: the caller was given up and must register anew.
create function automation_priv.worker_beat(p_worker uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    update automation_priv.workers set beat_at = clock_timestamp() where worker_id = p_worker;
    return found;
end $$;
create function automation_priv.worker_leave(p_worker uuid) returns void
language sql security definer set search_path = '' as $$
    update automation_priv.workers w set left_at = clock_timestamp() where w.worker_id = p_worker;
    delete from automation_priv.workers w where w.worker_id = p_worker
        and not exists (select from automation_priv.ledger l where l.owner = p_worker)
$$;

-- Every tenant, for the workers' bare path: 16 bytes each, ascending. No row where the caller has that set already.
create function automation_priv.tenant_ids(p_digest uuid) returns table (digest uuid, ids bytea)
language plpgsql stable security definer set search_path = '' as $$
begin
    ids := (select coalesce(string_agg(uuid_send(t.tenant_id), ''), '') from (select tenant_id from automation.tenants order by tenant_id) t);
    digest := encode(substr(sha256(ids), 1, 16), 'hex')::uuid;
    if digest <> p_digest then
        return next;
    end if;
end $$;

-- A beat older than this, no row at all, or one that says it has left means that the owner is dead.
create function automation_priv.lease() returns interval language sql immutable parallel safe set search_path = '' as $$ select interval '20 seconds' $$;
-- More crashes than this end as a dead letter `poison`.
create function automation_priv.crash_limit() returns integer language sql immutable parallel safe set search_path = '' as $$ select 3 $$;

create function automation_priv.dead_owner(p_owner uuid) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select not exists (select from automation_priv.workers w
        where w.worker_id = p_owner and w.left_at is null and w.beat_at > clock_timestamp() - automation_priv.lease()));
end $$;
-- Of a dead one: did it crash? 1 is charged then to each job that it had.
create function automation_priv.crash_of(p_owner uuid) returns integer
language plpgsql stable security definer set search_path = '' as $$
begin
    return case when exists (select from automation_priv.workers w where w.worker_id = p_owner and w.left_at is not null) then 0 else 1 end;
end $$;

-- ---- claim ------------------------------------------------------------------------------------------------------------------------------
-- One statement for a read batch. p_held: jobs that the caller holds in memory. p_wait: lock instead of skipping locked rows (the repeated
-- question after a claim whose COMMIT was not answered). A dead owner's row at the crash limit, or that was acting with a kind whose unknown
-- outcome asks a person, is left to the sweep. Of the rows whose claims crashed twice (suspects) one is taken, or with p_suspects false none:
-- whoever dies with it charges no other such row, so that only the guilty reach the limit. The worker asks for the others again.
create function automation_priv.claim_jobs(p_owner uuid, p_ids uuid[], p_held uuid[], p_wait boolean, p_suspects boolean default true)
returns table (job_id uuid, tenant_id uuid, run_id uuid, wedding_id uuid, claim_no integer, claimed_at timestamptz, due_at timestamptz,
    deadline timestamptz, timeout_ms integer, step smallint, attempt smallint, max_attempts smallint, crashes smallint, snoozes smallint,
    kind text, queue text, effect_key uuid, bare_at timestamptz, bare_id uuid, payload bytea, wake jsonb, verdict text,
    rule_id uuid, rule_revision bigint, generation smallint, hops smallint, definition jsonb, context jsonb, facts jsonb, now timestamptz,
    traceparent text)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    -- A plain parameter decides between the two lock modes; both lock in job id order.
    if p_wait then
        perform from automation_priv.ledger l where l.job_id = any (p_ids) order by l.job_id for update;
    end if;
    return query
    with open as (
        select x.job_id, x.crashes + case when x.owner <> p_owner then automation_priv.crash_of(x.owner) else 0 end as crashes
        from automation_priv.ledger x
        where x.job_id = any (p_ids) and x.due_at <= v_now
          and (x.owner is null or (x.owner = p_owner and not x.job_id = any (p_held))
               or (x.owner <> p_owner and x.acting is null and x.crashes < automation_priv.crash_limit() and automation_priv.dead_owner(x.owner)))
        order by x.job_id for update skip locked),
    chosen as (
        select o.job_id, o.crashes from open o where o.crashes < 2
        union all (select o.job_id, o.crashes from open o where o.crashes >= 2 and p_suspects order by o.job_id limit 1)),
    taken as (
        update automation_priv.ledger l set owner = p_owner, claim_no = l.claim_no + 1, claimed_at = v_now, acting = null,
            crashes = c.crashes::smallint
        from chosen c
        where l.job_id = c.job_id
        returning l.*)
    select t.job_id, t.tenant_id, t.run_id, t.wedding_id, t.claim_no, t.claimed_at, t.due_at, t.deadline, t.timeout_ms, t.step, t.attempt,
        t.max_attempts, t.crashes, t.snoozes, t.kind, t.queue, t.effect_key, t.bare_at, t.bare_id, t.payload, t.wake,
        case when t.due_spec is not null and t.due_spec ? 'window' -- NULL alone would not keep the costly question from being asked
                and automation_priv.closed_ms(t.tenant_id, t.wedding_id, t.due_spec, v_now) > 0
                then 'closed:' || automation_priv.closed_ms(t.tenant_id, t.wedding_id, t.due_spec, v_now)
            when t.wedding_id is null and t.run_id is null and t.deadline is null then 'run' -- nothing to look up
            else automation_priv.fence(t.tenant_id, t.wedding_id, t.revision, t.run_id, t.deadline, v_now, t.aside) end,
        r.rule_id, r.rule_revision, r.generation, r.hops, v.definition, r.context,
        case when t.run_id is not null then automation_priv.facts(t.tenant_id, t.wedding_id, v_now) end, v_now,
        t.traceparent
    from taken t
    left join automation.runs r on r.tenant_id = t.tenant_id and r.run_id = t.run_id
    left join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.rule_revision;
end $$;

-- Until a step's send window opens, in milliseconds: what was late must not go out at night. 0: it is open.
create function automation_priv.closed_ms(p_tenant uuid, p_wedding uuid, p_spec jsonb, p_now timestamptz) returns bigint
language plpgsql stable security definer set search_path = '' as $$
begin
    return (select greatest(0, ceil(extract(epoch from d.due_at - p_now) * 1000))::bigint from automation_priv.resolve_due(p_tenant, p_wedding, p_spec, p_now) d);
end $$;

-- May this job still act? 'run', or the outcome it ends with and why. The same question is asked again when more than 2 s pass before acting.
create function automation_priv.fence(p_tenant uuid, p_wedding uuid, p_revision bigint, p_run uuid, p_deadline timestamptz, p_now timestamptz,
    p_aside boolean) returns text
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select case
        when p_deadline is not null and p_now > p_deadline then 'skipped:expired'
        when p_wedding is not null and w.wedding_id is null and p_run is not null then 'cancelled:wedding_deleted'
        when w.status in ('cancelled', 'archived') and coalesce(r.wedding_status, '') not in ('cancelled', 'archived') then 'cancelled:wedding_' || w.status
        when p_revision is not null and w.revision is distinct from p_revision then 'superseded:wedding_moved'
        when p_run is not null and (r.run_id is null or (r.state <> 'running' and not p_aside)) then 'cancelled:run_ended'
        when p_run is not null and (u.rule_id is null or u.status in ('paused', 'archived')) then 'cancelled:rule_' || coalesce(u.status, 'deleted')
        else 'run' end
    from (select 1) one
    left join automation.weddings w on w.tenant_id = p_tenant and w.wedding_id = p_wedding
    left join automation.runs r on r.tenant_id = p_tenant and r.run_id = p_run
    left join automation.rules u on u.tenant_id = r.tenant_id and u.rule_id = r.rule_id);
end $$;

-- The second look before acting, for many jobs; with p_acting the row is also marked as acting (kinds whose unknown outcome asks a person).
create function automation_priv.recheck_jobs(p_owner uuid, p_ids uuid[], p_claims integer[], p_acting boolean)
returns table (job_id uuid, verdict text)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    return query
    with asked as (select * from unnest(p_ids, p_claims) as a(id, claim)),
    checked as (
        select l.job_id as id, automation_priv.fence(l.tenant_id, l.wedding_id, l.revision, l.run_id, l.deadline, v_now, l.aside) as v
        from asked a join automation_priv.ledger l on l.job_id = a.id and l.owner = p_owner and l.claim_no = a.claim),
    marked as (
        update automation_priv.ledger l set acting = clock_timestamp() from checked c
        where p_acting and c.v = 'run' and l.job_id = c.id and l.owner = p_owner returning l.job_id)
    select a.id, coalesce(c.v, 'lost_lease') from asked a left join checked c on c.id = a.id;
end $$;

-- ---- settle -----------------------------------------------------------------------------------------------------------------------------
-- Ends unfinished jobs without running them (cancelled, superseded, skipped, poison). The caller holds the rows' locks. Each gets a log
-- row; the first log row of an adopted entry carries the entry's key, and if that key stands the entry was logged as done
-- meanwhile: the row is withdrawn, as if it had never been accepted.
create function automation_priv.end_unrun(p_ids uuid[], p_outcome text, p_reason text, p_code smallint) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    n integer;
begin
    with gone as (delete from automation_priv.ledger l where l.job_id = any (p_ids) returning l.*),
    marked as (
        select g.*, coalesce(g.bare_at, v_now) as log_at,
               coalesce(g.bare_id, automation_priv.derive('attempt', g.job_id::text, (g.claim_no + 1)::text)) as log_id,
               g.bare_id is not null and exists (select from automation.execution_logs x where x.tenant_id = g.tenant_id
                   and x.queued_at = g.bare_at and x.execution_id = g.bare_id) as withdrawn
        from gone g),
    rows as (
        select m.tenant_id, m.log_at, m.log_id, m.job_id, m.run_id, r.rule_id, m.wedding_id, r.rule_revision, m.due_at, m.step, m.attempt,
               m.kind, m.queue, p.leaf is not null as has_leaf
        from marked m left join automation.runs r on r.tenant_id = m.tenant_id and r.run_id = m.run_id
        left join automation_priv.log_partitions p on p.state in ('attached', 'restored') and m.log_at >= p.lo and m.log_at < p.hi
        where not m.withdrawn),
    logged as (
        insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, run_id, rule_id, wedding_id, rule_revision, due_at,
                duration_us, step, attempt, outcome, kind, queue, reason)
        select x.tenant_id, x.log_at, x.log_id, x.job_id, x.run_id, x.rule_id, x.wedding_id, x.rule_revision, x.due_at, 0, x.step, x.attempt,
               p_code, x.kind, x.queue, p_reason
        from rows x where x.has_leaf order by 1, 2, 3
        returning tenant_id, rule_id, queued_at, kind),
    rolled_up as (
        insert into automation_priv.rollup_deltas (n, tenants, rules, hours, kinds, codes, counts, us)
        select count(*), array_agg(l.tenant_id), array_agg(coalesce(l.rule_id, '00000000-0000-0000-0000-000000000000')),
               array_agg(floor(extract(epoch from l.queued_at) / 3600)::integer), array_agg(l.kind),
               array_agg(automation_priv.rollup_code(p_code, null, null, 0)), array_agg(1), array_agg(0::bigint)
        from logged l having count(*) > 0),
    unlogged as (
        insert into automation_priv.log_quarantine (tenant_id, job_id, reason, row_data)
        select x.tenant_id, x.job_id, 'no partition for queued_at', to_jsonb(x) - 'log_at' - 'log_id' - 'has_leaf' || jsonb_build_object(
               'queued_at', x.log_at, 'execution_id', x.log_id, 'duration_us', 0, 'outcome', p_code, 'reason', p_reason)
        from rows x where not x.has_leaf),
    counted as (
        insert into automation_priv.job_deltas
        select m.tenant_id, m.accepted_day, case when m.withdrawn then 'accepted' else p_outcome end, case when m.withdrawn then -1 else 1 end from marked m),
    buried as (
        insert into automation.dead_letters (tenant_id, job_id, kind, queue, reason, error, attempt, crashes, run_id, step, wedding_id, effect_key,
                payload, source_entry, accepted_at, died_at, deadline, priority, ended_run)
        select m.tenant_id, m.job_id, m.kind, m.queue, p_reason, null, m.attempt, m.crashes, m.run_id, m.step, m.wedding_id, m.effect_key,
               m.payload, m.bare_entry, m.accepted_at, v_now, m.deadline, m.priority, m.run_id is not null and not m.aside
        from marked m where p_outcome = 'dead' and not m.withdrawn on conflict do nothing),
    freed as (
        update automation_priv.unique_keys u set held_until = v_now + u.held_for from marked m where m.unique_key is not null and u.job_id = m.job_id),
    runs as (
        update automation.runs r set state = case p_outcome when 'dead' then 'failed' when 'skipped' then 'skipped' else p_outcome end,
               failed_steps = (r.failed_steps + (p_outcome = 'dead')::integer)::smallint, reason = p_reason, finished_at = v_now
        from marked m where r.tenant_id = m.tenant_id and r.run_id = m.run_id and r.state = 'running' and not m.aside)
    select count(*) into n from marked;
    return n;
end $$;

-- One transaction a batch. Each element: j job, c claim number, a = final | retry | snooze | park | release, o = final outcome, in_ms = delay
-- of a retry or snooze, reason, error, effect {op, …}, run_patch {steps, state, reason, failed, acted},
-- next [{job, step, kind, due, event}]. Returns for each job: hit · lost_lease (another worker has it) · withdrawn (its entry was logged
-- directly meanwhile) · busy (a tenant's row was locked for 300 ms: settle again later) · effect:SQLSTATE:message (nothing of that job applied).
create function automation_priv.settle_jobs(p_owner uuid, p_batch jsonb) returns table (job_id uuid, result text)
language plpgsql security definer set search_path = '' set lock_timeout = '300ms' as $$
#variable_conflict use_column
declare
    v_now timestamptz := automation.now();
    v_day date := (v_now at time zone 'UTC')::date;
    v_bad jsonb := '{}';
    b record;
begin
    perform from automation_priv.ledger l join jsonb_to_recordset(p_batch) as x(j uuid, c integer) on l.job_id = x.j
        where l.owner = p_owner and l.claim_no = x.c order by l.job_id for update of l;
    for b in
        select x.j, x.effect, l.tenant_id, l.wedding_id, l.run_id from jsonb_to_recordset(p_batch) as x(j uuid, c integer, effect jsonb)
        join automation_priv.ledger l on l.job_id = x.j and l.owner = p_owner and l.claim_no = x.c
        where x.effect is not null order by x.j
    loop
        begin
            perform automation_priv.apply_effect(b.tenant_id, b.wedding_id, b.run_id, b.j, b.effect, v_now);
        exception
            when lock_not_available then
                v_bad := v_bad || jsonb_build_object(b.j, 'busy');
                perform set_config('lock_timeout', '1ms', true); -- the whole call waits once
            when others then v_bad := v_bad || jsonb_build_object(b.j, 'effect:' || sqlstate || ':' || sqlerrm);
        end;
    end loop;
    return query
    with batch as materialized (
        select x.*, l.tenant_id, l.run_id as run, l.wedding_id, l.accepted_day, l.kind, l.queue, l.attempt, l.crashes, l.step, l.effect_key,
            l.payload, l.bare_entry, l.accepted_at, l.deadline, l.unique_key, l.priority, l.aside, l.job_id is not null as hit,
            v_bad ->> x.j::text as bad,
            l.bare_id is not null and x.a in ('final', 'retry') and exists (select from automation.execution_logs e
                where e.tenant_id = l.tenant_id and e.queued_at = l.bare_at and e.execution_id = l.bare_id) as withdrawn
        from jsonb_to_recordset(p_batch) as x(j uuid, c integer, a text, o text, in_ms bigint, reason text, error text, run_patch jsonb, next jsonb)
        left join automation_priv.ledger l on l.job_id = x.j and l.owner = p_owner and l.claim_no = x.c),
    good as materialized (select * from batch where hit and bad is null),
    gone as (delete from automation_priv.ledger l using good g where l.job_id = g.j and (g.a = 'final' or g.withdrawn)),
    kept as (
        update automation_priv.ledger l set owner = null, claimed_at = null, acting = null,
            due_at = case when g.a = 'park' and g.reason = 'approval' then automation_priv.approval_due(l.tenant_id, l.job_id, v_now) when g.a = 'park' then null when g.a = 'release' then l.due_at
                when g.a = 'retry' and l.due_spec ? 'window' then -- a retry keeps quiet hours too
                    (select d.due_at from automation_priv.resolve_due(l.tenant_id, l.wedding_id, l.due_spec, v_now + g.in_ms * interval '1 millisecond') d)
                else v_now + g.in_ms * interval '1 millisecond' end,
            parked_reason = case when g.a = 'park' then g.reason end,
            attempt = (l.attempt + (g.a = 'retry')::integer)::smallint,
            crashes = case when g.a = 'retry' then 0 else l.crashes end, -- an attempt came to its end: what crashed was not this job
            snoozes = (l.snoozes + (g.a = 'snooze')::integer)::smallint,
            bare_at = case when g.a = 'retry' then null else l.bare_at end,
            bare_id = case when g.a = 'retry' then null else l.bare_id end
        from good g where l.job_id = g.j and g.a <> 'final' and not g.withdrawn),
    patched as (
        update automation.runs r set
            context = case when g.run_patch ? 'steps'
                then r.context || jsonb_build_object('steps', coalesce(r.context -> 'steps', '{}') || (g.run_patch -> 'steps')) else r.context end,
            failed_steps = (r.failed_steps + coalesce((g.run_patch ->> 'failed')::integer, 0))::smallint,
            acted = r.acted or coalesce((g.run_patch ->> 'acted')::boolean, false),
            state = case when r.state <> 'running' then r.state
                when g.run_patch ->> 'state' = 'succeeded' and r.failed_steps + coalesce((g.run_patch ->> 'failed')::integer, 0) > 0 then 'failed'
                else coalesce(g.run_patch ->> 'state', r.state) end,
            reason = case when r.state <> 'running' then r.reason
                when g.run_patch ->> 'state' = 'succeeded' and r.failed_steps + coalesce((g.run_patch ->> 'failed')::integer, 0) > 0 then 'steps_failed'
                else coalesce(g.run_patch ->> 'reason', r.reason) end,
            finished_at = case when r.state = 'running' and g.run_patch ? 'state' then v_now else r.finished_at end
        from good g where g.run_patch is not null and not g.withdrawn and not g.aside and r.tenant_id = g.tenant_id and r.run_id = g.run
        returning r.tenant_id, r.run_id, r.state),
    next_step as (
        insert into automation_priv.ledger (job_id, tenant_id, run_id, wedding_id, due_at, accepted_at, accepted_day, timeout_ms, step, priority,
                max_attempts, kind, queue, wait_event, effect_key, revision, due_spec, parked_reason)
        select n.job, g.tenant_id, g.run, g.wedding_id, d.due_at, v_now, v_day, k.timeout_ms, n.step, g.priority, k.max_attempts, n.kind, g.queue,
               n.event, n.job, d.revision, n.due, case when d.due_at is null then 'anchor_missing' end
        from good g
        cross join lateral jsonb_to_recordset(g.next) as n(job uuid, step smallint, kind text, due jsonb, event text)
        join automation.kinds k on k.kind = n.kind
        join patched p on p.tenant_id = g.tenant_id and p.run_id = g.run and p.state = 'running'
        cross join lateral automation_priv.resolve_due(g.tenant_id, g.wedding_id, n.due, v_now) d
        where g.next is not null and not g.withdrawn and not g.aside
        on conflict (job_id) do nothing
        returning job_id, tenant_id, wait_event),
    checks as (insert into automation_priv.wait_checks select job_id from next_step where wait_event is not null on conflict do nothing),
    buried as (
        insert into automation.dead_letters (tenant_id, job_id, kind, queue, reason, error, attempt, crashes, run_id, step, wedding_id, effect_key,
                payload, source_entry, accepted_at, died_at, deadline, priority, ended_run)
        select g.tenant_id, g.j, g.kind, g.queue, g.reason, g.error, g.attempt, g.crashes, g.run, g.step, g.wedding_id, g.effect_key, g.payload,
               g.bare_entry, g.accepted_at, v_now, g.deadline, g.priority, coalesce(g.run_patch ? 'state', false) and not g.aside
        from good g where g.a = 'final' and g.o = 'dead' and not g.withdrawn on conflict do nothing),
    freed as (
        update automation_priv.unique_keys u set held_until = v_now + u.held_for
        from good g where g.a = 'final' and g.unique_key is not null and u.job_id = g.j),
    counted as (
        insert into automation_priv.job_deltas (tenant_id, day, outcome, n)
        select tenant_id, day, outcome, sum(n) from (
            select g.tenant_id, g.accepted_day as day, case when g.withdrawn then 'accepted' else g.o end as outcome,
                   case when g.withdrawn then -1 else 1 end as n
            from good g where g.a = 'final' or g.withdrawn
            union all select s.tenant_id, v_day, 'accepted', 1 from next_step s) d
        group by 1, 2, 3)
    select t.j, case when not t.hit then 'lost_lease' when t.bad is not null then t.bad when t.withdrawn then 'withdrawn' else 'hit' end from batch t;
end $$;

-- The same for what is most of all work: jobs without run and effect that are done. One job each in order of their ids; returns only those that were
-- not hit, as settle_jobs would. Effects, dead letters and next steps can not come of them.
create function automation_priv.settle_done(p_owner uuid, p_ids uuid[], p_claims integer[]) returns table (job_id uuid, result text)
language plpgsql security definer set search_path = '' set lock_timeout = '300ms' as $$
#variable_conflict use_column
declare
    v_hits uuid[];
    v_keyed uuid[];
    v_withdrawn uuid[];
begin
    with asked as (select a.id, a.claim from unnest(p_ids, p_claims) as a(id, claim) order by a.id),
    gone as (
        delete from automation_priv.ledger l using asked a where l.job_id = a.id and l.owner = p_owner and l.claim_no = a.claim
        returning l.job_id, l.tenant_id, l.accepted_day, l.bare_at, l.bare_id, l.unique_key is not null as keyed),
    judged as (
        select g.*, g.bare_id is not null and exists (select from automation.execution_logs e where e.tenant_id = g.tenant_id
            and e.queued_at = g.bare_at and e.execution_id = g.bare_id) as withdrawn from gone g),
    counted as (
        insert into automation_priv.job_deltas (tenant_id, day, outcome, n)
        select j.tenant_id, j.accepted_day, case when j.withdrawn then 'accepted' else 'done' end, case when j.withdrawn then -1 else 1 end * count(*)
        from judged j group by j.tenant_id, j.accepted_day, j.withdrawn)
    select array_agg(j.job_id), array_agg(j.job_id) filter (where j.keyed), array_agg(j.job_id) filter (where j.withdrawn) into v_hits, v_keyed, v_withdrawn
    from judged j;
    if v_keyed is not null then
        update automation_priv.unique_keys u set held_until = automation.now() + u.held_for where u.job_id = any (v_keyed);
    end if;
    if v_withdrawn is not null then
        return query select w, 'withdrawn' from unnest(v_withdrawn) w;
    end if;
    if v_hits is null or cardinality(v_hits) < cardinality(p_ids) then
        return query select a.id, 'lost_lease' from unnest(p_ids) as a(id) where v_hits is null or not a.id = any (v_hits);
    end if;
end $$;

-- ---- adoption of bare entries ---------------------------------------------------------------------------------------------------------------
-- Each element: at, id (the entry's log key), entry (stream and id), tenant, kind, queue, payload (hex), wedding, deadline, due, max, timeout,
-- key, traceparent, attempt (2: the first attempt failed and is logged by this transaction), owner (its executor, for slow ones), in_ms,
-- dead (reason: straight to the dead letters), error, raw (hex). Returns whether each became a row: an entry whose log key stands, which was
-- adopted before, or whose unique key is held is skipped; `refused` says why an entry that the caller held for a job is a dead letter; `busy`:
-- another transaction, still open, takes its key, so that nothing is known yet: ask again later, and do not acknowledge it.
create function automation_priv.adopt_entries(p_entries jsonb)
returns table (id uuid, adopted boolean, claimed_at timestamptz, refused text, busy boolean)
language plpgsql security definer set search_path = '' set lock_timeout = '300ms' as $$
#variable_conflict use_column
declare
    v_now timestamptz := automation.now();
    v_day date := (v_now at time zone 'UTC')::date;
    v_new uuid[]; -- entries without log row, job or dead letter
    v_held uuid[] := '{}'; -- of these, the ones whose key another job has
    v_busy uuid[] := '{}';
    v_holder uuid;
    e record;
begin
    -- Nobody would ever see the jobs of a tenant that does not exist: their entries are dead letters, for the operator. What runs already comes
    -- to its end.
    if exists (select from jsonb_array_elements(p_entries) e
            where not exists (select from automation.tenants t where t.tenant_id = (e ->> 'tenant')::uuid)) then
        p_entries := (select jsonb_agg(case when t.tenant_id is not null or e ->> 'dead' is not null or e ->> 'owner' is not null then e
                else e || jsonb_build_object('dead', 'unknown_tenant', 'error', 'unknown tenant ' || coalesce(e ->> 'tenant', 'null')) end order by i)
            from jsonb_array_elements(p_entries) with ordinality x(e, i) left join automation.tenants t on t.tenant_id = (e ->> 'tenant')::uuid);
    end if;
    select array_agg(distinct a.id) into v_new from jsonb_to_recordset(p_entries) as a(at timestamptz, id uuid, tenant uuid)
    where not exists (select from automation.execution_logs e where e.tenant_id = a.tenant and e.queued_at = a.at and e.execution_id = a.id)
      and not exists (select from automation_priv.ledger l where l.job_id = a.id)
      and not exists (select from automation.dead_letters d where d.tenant_id = a.tenant and d.job_id = a.id);
    for e in
        select x.id, x.tenant, x.kind, x.key
        from rows from (jsonb_to_recordset(p_entries) as (id uuid, tenant uuid, kind text, key text, dead text)) with ordinality
            as x(id, tenant, kind, key, dead, nr)
        where x.key is not null and x.dead is null and x.id = any (v_new)
        order by x.tenant, x.kind, x.key, x.nr
    loop
        begin
            v_holder := automation_priv.take_key(e.tenant, e.kind, e.key, e.id, '24 hours', v_now);
            if v_holder <> e.id then
                v_held := v_held || e.id;
            end if;
        exception when lock_not_available then
            v_busy := v_busy || e.id;
            perform set_config('lock_timeout', '1ms', true); -- the whole call waits once
        end;
    end loop;
    return query
    with asked as materialized (
        select x.*, row_number() over (partition by x.id order by x.nr) as copy
        from rows from (jsonb_to_recordset(p_entries) as (at timestamptz, id uuid, entry text, tenant uuid, kind text, queue text, payload text,
            wedding uuid, deadline timestamptz, due timestamptz, max smallint, timeout integer, key text, traceparent text, attempt smallint, owner uuid,
            in_ms bigint, dead text, error text, raw text)) with ordinality
            as x(at, id, entry, tenant, kind, queue, payload, wedding, deadline, due, max, timeout, key, traceparent, attempt, owner, in_ms, dead, error,
                 raw, nr)),
    fresh as materialized (
        select a.*, k.timeout_ms, k.max_attempts
        from asked a join unnest(v_new) n(id) on n.id = a.id left join automation.kinds k on k.kind = a.kind where a.copy = 1),
    taken as materialized (select f.* from fresh f where not f.id = any (v_held) and not f.id = any (v_busy)),
    rows as (
        insert into automation_priv.ledger (job_id, tenant_id, wedding_id, owner, due_at, claimed_at, accepted_at, deadline, claim_no, accepted_day,
                timeout_ms, max_attempts, attempt, kind, queue, unique_key, effect_key, bare_at, bare_id, bare_entry, traceparent, payload)
        select id, tenant, wedding, owner, coalesce(due, v_now) + coalesce(in_ms, 0) * interval '1 millisecond', case when owner is not null then v_now end,
               v_now, deadline, (owner is not null)::integer, v_day, coalesce(timeout, timeout_ms, 30000), coalesce(max, max_attempts, 8), coalesce(attempt, 1::smallint), kind,
               queue, key, id, case when coalesce(attempt, 1::smallint) = 1 then at end, case when coalesce(attempt, 1::smallint) = 1 then id end, entry, traceparent, decode(payload, 'hex')
        from taken where dead is null order by id
        on conflict (job_id) do nothing
        returning job_id, claimed_at),
    buried as (
        insert into automation.dead_letters (tenant_id, job_id, kind, queue, reason, error, attempt, crashes, wedding_id, effect_key, payload,
                source_entry, source_raw, accepted_at, died_at, deadline)
        select tenant, id, coalesce(kind, '?'), queue, dead, error, coalesce(attempt, 1::smallint), 0, wedding, id, decode(payload, 'hex'), entry,
               decode(raw, 'hex'), v_now, v_now, deadline
        from taken where dead is not null order by tenant, id
        on conflict do nothing
        returning job_id),
    counted as (
        insert into automation_priv.job_deltas (tenant_id, day, outcome, n)
        select t.tenant, v_day, o.outcome, count(*) from taken t cross join lateral (values ('accepted'), ('dead')) o(outcome)
        where (o.outcome = 'accepted' and (t.id in (select job_id from rows) or t.id in (select job_id from buried)))
           or (o.outcome = 'dead' and t.id in (select job_id from buried)) group by 1, 3)
    select a.id, r.job_id is not null or d.job_id is not null, r.claimed_at, case when a.dead = 'unknown_tenant' then a.error end, a.id = any (v_busy)
    from asked a left join rows r on r.job_id = a.id left join buried d on d.job_id = a.id where a.copy = 1;
end $$;

-- The same for the leader, who runs nothing: what became a dead letter is logged here, as workers log theirs. Returns those that are busy.
create function automation_priv.relieve_entries(p_entries jsonb) returns setof uuid
language plpgsql security definer set search_path = '' as $$
declare
    v_batch uuid := gen_random_uuid();
    v_taken uuid[];
    v_busy uuid[];
begin
    select array_agg(a.id) filter (where a.adopted), array_agg(a.id) filter (where a.busy) into v_taken, v_busy
    from automation_priv.adopt_entries(p_entries) a;
    insert into automation_priv.log_stage (batch_id, tenant_id, queued_at, execution_id, job_id, wedding_id, duration_us, attempt, outcome, kind, queue, reason, error)
    select v_batch, d.tenant_id, e.at, d.job_id, d.job_id, d.wedding_id, 0, d.attempt, 2, d.kind, d.queue, d.reason, left(d.error, 1024)
    from jsonb_to_recordset(p_entries) as e(at timestamptz, id uuid, tenant uuid)
    join automation.dead_letters d on d.tenant_id = e.tenant and d.job_id = e.id
    where d.job_id = any (v_taken);
    if found then
        perform automation_priv.merge_logs(v_batch);
    end if;
    return query select unnest(v_busy);
end $$;

-- ---- the leader's duties over the ledger --------------------------------------------------------------------------------------------------------
-- Every duty transaction begins with this: it holds the term, so a takeover waits for it, and it fails for a leader of the past.
create function automation_priv.lead(p_term bigint) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform from automation_priv.leader where term = p_term for share;
    if not found then
        raise exception 'term % has ended', p_term using errcode = 'U0001';
    end if;
end $$;

create function automation_priv.leader_take(p_name text) returns bigint
language sql security definer set search_path = '' as $$
    update automation_priv.leader_beat set beat_at = clock_timestamp();
    update automation_priv.leader set term = term + 1, name = p_name, backend_pid = pg_catalog.pg_backend_pid(), since = clock_timestamp() returning term
$$;
create function automation_priv.leader_beat(p_term bigint) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (select from automation_priv.leader where term = p_term) then return false; end if;
    update automation_priv.leader_beat set beat_at = clock_timestamp();
    return true;
end $$;

-- Due rows of a queue that could run now, tenant by tenant in turn: a tenant's n-th row, those that run already included, goes before any other's
-- n+1st. While several tenants wait none gets beyond p_share rows and half of what runs. The head of a wedding goes first: a row waits behind the
-- wedding's earlier due rows that are on their first attempt, claimed ones included. Of each tenant little more is read than its share of the
-- answer (a quarter more, for those that run); where that was not enough, what is missing is shared among the tenants that have more. The cost is
-- that of the answer, not of the backlog.
create function automation_priv.due_jobs(p_queue text, p_limit integer, p_share integer)
returns table (job_id uuid, tenant_id uuid, claim_no integer)
language plpgsql stable security definer set search_path = '' set enable_seqscan = off set enable_bitmapscan = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := automation.now();
    v_waiting uuid[];
    v_quota integer;
    v_share integer;
    v_jobs uuid[];
    v_tenants uuid[];
    v_claims integer[];
    v_running integer;
    v_full integer; -- tenants that have more than was read of them
    v_depth constant integer := 2000 + 2 * p_limit; -- rows of a tenant that are looked at; those behind them wait for the heads of their weddings
begin
    with recursive tenants(id) as (
        (select l.tenant_id from automation_priv.ledger l where l.queue = p_queue and l.due_at is not null order by l.tenant_id limit 1)
        union all
        select (select l.tenant_id from automation_priv.ledger l where l.queue = p_queue and l.due_at is not null and l.tenant_id > t.id order by l.tenant_id limit 1)
        from tenants t where t.id is not null)
    -- EXISTS could become a join that reads every due row; a subquery with a limit can not.
    select array_agg(t.id) into v_waiting from tenants t where t.id is not null and (
        select true from automation_priv.ledger l where l.queue = p_queue and l.tenant_id = t.id and l.due_at <= v_now limit 1);
    if v_waiting is null then return; end if;
    v_quota := p_limit + p_limit / 4;
    if cardinality(v_waiting) > 1 then
        v_quota := least(1 + v_quota / cardinality(v_waiting), p_share);
    end if;
    loop
        select array_agg(x.job_id) filter (where not x.running), array_agg(x.tenant) filter (where not x.running),
               array_agg(x.claim_no) filter (where not x.running), count(*) filter (where x.running), count(*) filter (where x.turn = v_quota)
        into v_jobs, v_tenants, v_claims, v_running, v_full
        from (
            select j.job_id, w.id as tenant, j.claim_no, j.running, j.turn
            from unnest(v_waiting) as w(id)
            cross join lateral (
                select l.job_id, l.claim_no, l.owner is not null as running, row_number() over (order by l.due_at, l.priority, l.job_id) as turn
                from (
                    select d.* from automation_priv.ledger d where d.queue = p_queue and d.tenant_id = w.id and d.due_at <= v_now
                    order by d.due_at, d.priority, d.job_id limit v_depth) l
                where l.wedding_id is null or l.owner is not null or ( -- written so that it goes by ledger_wedding
                    select true from automation_priv.ledger h
                    where h.tenant_id = l.tenant_id and h.wedding_id = l.wedding_id and h.due_at <= v_now and h.attempt = 1 and (h.queue = l.queue) is true
                      and (h.due_at, h.priority, h.job_id) < (l.due_at, l.priority, l.job_id)
                    order by h.due_at, h.priority, h.job_id limit 1) is null
                order by l.due_at, l.priority, l.job_id limit v_quota) j
            order by j.turn, w.id) x;
        v_share := case when cardinality(v_waiting) > 1 then p_share + v_running / 2 else 2147483647 end;
        exit when v_full = 0 or v_quota >= v_share or cardinality(v_jobs) >= p_limit;
        v_quota := least(v_quota::bigint + greatest(v_quota / 2, (p_limit - coalesce(cardinality(v_jobs), 0)) / v_full) + 8, v_share);
    end loop;
    return query select a.job, a.tenant, a.claim from unnest(v_jobs, v_tenants, v_claims) as a(job, tenant, claim) limit p_limit;
end $$;

-- Of these, which are still due and unclaimed at that claim number? (The leader's memory of what it added forgets the others.)
create function automation_priv.still_waiting(p_ids uuid[], p_claims integer[]) returns setof uuid
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now(); -- in the join it would be asked once a row
begin
    return query
    select l.job_id from unnest(p_ids, p_claims) as a(id, claim)
    join automation_priv.ledger l on l.job_id = a.id and l.claim_no = a.claim and l.owner is null and l.due_at <= v_now;
end $$;

-- A process that is frozen (SIGSTOP, a paused container) keeps its connections. Where its backend waits for it within a transaction it holds
-- locks that others need, and while it waits for COPY's data no timeout of the server's ends it.
create function automation_priv.end_backends(p_worker_name text) returns integer
language sql security definer set search_path = '' as $$
    select count(pg_catalog.pg_terminate_backend(a.pid))::integer from pg_catalog.pg_stat_activity a
    where a.datname = pg_catalog.current_database() and pg_catalog.starts_with(a.application_name, left(p_worker_name || ' settle', 63))
      and a.wait_event_type = 'Client' and a.xact_start < clock_timestamp() - interval '5 seconds'
$$;

-- Frees the rows of workers that are dead, charging each claim of a crashed one once; rows beyond the crash limit end as poison; rows that were acting with a kind
-- whose unknown outcome asks a person are parked. Returns the dead workers and what became of their rows; their rows in `workers` go when nothing is
-- left that they own, and the caller then removes their consumers. While nobody is dead the ledger is read only with p_all: an owner has a row in
-- `workers` unless its last claim committed as the row went.
create function automation_priv.sweep_workers(p_term bigint, p_limit integer, p_all boolean)
returns table (worker_id uuid, name text, freed integer, poisoned integer, left_over integer)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    w record;
    v_poison uuid[];
begin
    perform automation_priv.lead(p_term);
    for w in
        select d.owner as id, x.name from (
            select k.worker_id as owner from automation_priv.workers k
            union select l.owner from automation_priv.ledger l where p_all and l.owner is not null) d
        left join automation_priv.workers x on x.worker_id = d.owner
        where automation_priv.dead_owner(d.owner)
    loop
        worker_id := w.id;
        name := w.name;
        perform automation_priv.end_backends(w.name);
        with picked as (
            select l.job_id from automation_priv.ledger l where l.owner = w.id order by l.job_id limit p_limit for update skip locked),
        swept as (
            update automation_priv.ledger l set owner = null, claimed_at = null, acting = null, crashes = (l.crashes + automation_priv.crash_of(w.id))::smallint,
                due_at = case when l.acting is not null and k.on_unknown = 'ask' then null else l.due_at end,
                parked_reason = case when l.acting is not null and k.on_unknown = 'ask' then 'unknown_outcome' end
            from picked p, automation_priv.ledger o left join automation.kinds k on k.kind = o.kind
            where l.job_id = p.job_id and o.job_id = p.job_id
            returning l.job_id, l.crashes)
        select count(*)::integer, array_agg(s.job_id) filter (where s.crashes > automation_priv.crash_limit()) into freed, v_poison from swept s;
        poisoned := coalesce(automation_priv.end_unrun(v_poison, 'dead', 'poison', 2::smallint), 0);
        select count(*)::integer into left_over from automation_priv.ledger l where l.owner = w.id;
        if left_over = 0 then
            delete from automation_priv.workers k where k.worker_id = w.id and automation_priv.dead_owner(w.id);
        end if;
        return next;
    end loop;
end $$;

-- ---- dead letters: replay, discard, feed ----------------------------------------------------------------------------------------------------------
-- What operators did, and words given ahead by whomever. One row a command, kept for good.
create table automation_priv.audit_trail (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    who text not null,
    what text not null, -- replay_dead discard_dead restore_resume retry_events preapprove revoke_preapproval
    tenant_id uuid,     -- null: of any tenant
    asked integer not null,
    n integer not null, -- what was changed
    filter jsonb not null default '{}'
);

-- What may be done with each of these dead letters, in the order of the ids: ok, or unknown, repeated (named twice, or its replay is named too),
-- replayed_before, discarded_before. A letter whose last replay died goes on where that replay's letter, `last`, stands: both are then closed together.
create function automation_priv.dead_verdicts(p_tenant uuid, p_ids uuid[])
returns table (nr bigint, job_id uuid, tenant_id uuid, last uuid, verdict text)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    with asked as (
        select a.id, a.i, d.tenant_id, d.discarded_at, d.replayed_as, l.job_id as last, l.discarded_at as last_discarded, l.replayed_as as last_replayed
        from unnest(p_ids) with ordinality as a(id, i)
        left join automation.dead_letters d on d.job_id = a.id and (p_tenant is null or d.tenant_id = p_tenant)
        left join automation.dead_letters l on l.tenant_id = d.tenant_id and l.job_id = d.replayed_as)
    select a.i, a.id, a.tenant_id, coalesce(a.last, a.id), case
        when a.tenant_id is null then 'unknown'
        when a.discarded_at is not null or a.last_discarded is not null then 'discarded_before'
        when a.last_replayed is not null or (a.replayed_as is not null and a.last is null) then 'replayed_before'
        when row_number() over (partition by a.tenant_id, coalesce(a.last, a.id) order by a.i) > 1 then 'repeated'
        else 'ok' end
    from asked a;
end $$;

create function automation_priv.dead_limit(p_ids uuid[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if cardinality(p_ids) > 5000 then
        raise exception '% dead letters: at most 5000 are allowed at a time', cardinality(p_ids) using errcode = '22023';
    end if;
    -- One operator at a time: what is open is decided before anything changes.
    perform pg_catalog.pg_advisory_xact_lock(hashtextextended('automation.dead_letters', 0));
end $$;

-- Makes a new job of each dead letter that is open, with the original's effect key and a full budget, due one after another within p_spread.
-- result: replayed, or why not: those of dead_verdicts, unknown_kind, unknown_tenant, malformed (nothing that a job could be made of), forged, run_gone, expired
-- (its deadline has passed), replayed_often (p_most times, whichever letter of the effect was named; null: no limit).
-- Where the run stopped at that step and nothing has happened since, it runs again and goes on when the replay succeeds; else the replay stands
-- aside: it repeats the step's effect, and the run is left as it is. The fence holds for both, but for an instant that derived from the wedding's
-- date, which the operator's word replaces. p_tenant null: of any tenant.
create function automation_priv.replay_dead(p_tenant uuid, p_ids uuid[], p_by text, p_spread interval default '0', p_filter jsonb default '{}',
    p_most integer default 5)
returns table (job_id uuid, tenant_id uuid, replay uuid, result text)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    perform automation_priv.dead_limit(p_ids);
    if p_spread < interval '0' then
        raise exception 'spread %: not below zero', p_spread using errcode = '22023';
    end if;
    return query
    with judged as materialized (
        select v.nr, d.*, k.timeout_ms, k.max_attempts, v.job_id as asked, v.tenant_id as of_tenant, v.last, case
            when v.verdict <> 'ok' then v.verdict
            when d.reason = 'malformed' then 'malformed'
            when d.reason = 'forged' or (k.class = 'rule' and d.run_id is null) then 'forged'
            when k.kind is null then 'unknown_kind'
            when not exists (select from automation.tenants t where t.tenant_id = d.tenant_id) then 'unknown_tenant'
            when d.run_id is not null and r.run_id is null then 'run_gone'
            when d.deadline <= v_now then 'expired'
            when coalesce(o.replays, d.replays) >= p_most then 'replayed_often'
            else 'replayed' end as verdict
        from automation_priv.dead_verdicts(p_tenant, p_ids) v
        left join automation.dead_letters d on d.tenant_id = v.tenant_id and d.job_id = v.job_id
        left join automation.dead_letters o on o.tenant_id = d.tenant_id and o.job_id = d.effect_key -- the first letter of the effect
        left join automation.kinds k on k.kind = d.kind
        left join automation.runs r on r.tenant_id = d.tenant_id and r.run_id = d.run_id),
    chosen as materialized (
        select j.*, automation_priv.derive('replay', j.job_id::text, (j.replays + 1)::text) as new_id, row_number() over (order by j.nr) - 1 as turn,
               count(*) over () as total
        from judged j where j.verdict = 'replayed'),
    resumed as (
        update automation.runs r set state = 'running', reason = null, finished_at = null, failed_steps = greatest(r.failed_steps - 1, 0)::smallint
        from chosen c join automation.dead_letters l on l.tenant_id = c.tenant_id and l.job_id = c.last
        where r.tenant_id = c.tenant_id and r.run_id = c.run_id and r.state = 'failed' and l.ended_run
          and not exists (select from automation_priv.ledger w where w.tenant_id = r.tenant_id and w.wedding_id = r.wedding_id and w.run_id = r.run_id
              and not w.aside)
        returning r.tenant_id, r.run_id, c.new_id),
    jobs as (
        insert into automation_priv.ledger (job_id, tenant_id, run_id, wedding_id, due_at, accepted_at, deadline, accepted_day, timeout_ms, step,
                priority, max_attempts, kind, queue, effect_key, replay_of, aside, payload)
        select c.new_id, c.tenant_id, c.run_id, c.wedding_id, v_now + p_spread * (c.turn::double precision / c.total), v_now, c.deadline,
               (v_now at time zone 'UTC')::date, c.timeout_ms, coalesce(c.step, 0::smallint), c.priority, c.max_attempts, c.kind, c.queue, c.effect_key, c.job_id,
               c.run_id is not null and not exists (select from resumed r where r.new_id = c.new_id), c.payload
        from chosen c order by c.new_id),
    counted as (
        insert into automation_priv.job_deltas (tenant_id, day, outcome, n)
        select c.tenant_id, (v_now at time zone 'UTC')::date, 'accepted', count(*) from chosen c group by 1),
    closed as (
        update automation.dead_letters d set replayed_as = case when d.job_id in (c.job_id, c.last) then c.new_id else d.replayed_as end,
            replays = (d.replays + (d.job_id in (c.job_id, c.effect_key))::integer)::smallint
        from chosen c where d.tenant_id = c.tenant_id and d.job_id in (c.job_id, c.last, c.effect_key)),
    noted as (
        insert into automation_priv.audit_trail (who, what, tenant_id, asked, n, filter)
        select p_by, 'replay_dead', p_tenant, cardinality(p_ids), (select count(*) from chosen), p_filter)
    select j.asked, j.of_tenant, c.new_id, j.verdict from judged j left join chosen c on c.nr = j.nr order by j.nr;
    perform automation_priv.wake();
end $$;

-- Closes open dead letters for good; they stay to be read. result: discarded, or why not.
create function automation_priv.discard_dead(p_tenant uuid, p_ids uuid[], p_by text, p_filter jsonb default '{}')
returns table (job_id uuid, tenant_id uuid, replay uuid, result text)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    perform automation_priv.dead_limit(p_ids);
    return query
    with judged as materialized (select v.* from automation_priv.dead_verdicts(p_tenant, p_ids) v),
    closed as (
        update automation.dead_letters d set discarded_at = v_now from judged j
        where j.verdict = 'ok' and d.tenant_id = j.tenant_id and d.job_id in (j.job_id, j.last)),
    noted as (
        insert into automation_priv.audit_trail (who, what, tenant_id, asked, n, filter)
        select p_by, 'discard_dead', p_tenant, cardinality(p_ids), (select count(*) from judged where verdict = 'ok'), p_filter)
    select j.job_id, j.tenant_id, null::uuid, case j.verdict when 'ok' then 'discarded' else j.verdict end
    from judged j order by j.nr;
end $$;

-- For the stream of dead letters: those not yet copied, oldest first.
create function automation_priv.dead_unfed(p_limit integer)
returns table (tenant_id uuid, job_id uuid, kind text, queue text, reason text, error text, attempt smallint, run_id uuid, wedding_id uuid, died_at timestamptz)
language sql stable security definer set search_path = '' as $$
    select tenant_id, job_id, kind, queue, reason, left(error, 500), attempt, run_id, wedding_id, died_at
    from automation.dead_letters where not fed order by died_at, job_id limit p_limit
$$;
create function automation_priv.dead_fed(p_term bigint, p_tenants uuid[], p_ids uuid[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform automation_priv.lead(p_term);
    update automation.dead_letters d set fed = true from unnest(p_tenants, p_ids) as a(tenant, id) where d.tenant_id = a.tenant and d.job_id = a.id;
end $$;

create function automation_priv.beacon_next(p_term bigint) returns bigint
language plpgsql security definer set search_path = '' as $$
declare v bigint;
begin
    perform automation_priv.lead(p_term);
    update automation_priv.beacon set seq = seq + 1, at = clock_timestamp(), redis_seq = null returning seq into v;
    return v;
end $$;

-- ---- a database that was restored --------------------------------------------------------------------------------------------------
-- Does the job act outward, or is it a step of a run whose rule does so anywhere? Then what this database does not know of may have reached people.
create function automation_priv.may_have_acted(p_limit_due timestamptz) returns setof uuid
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select l.job_id from automation_priv.ledger l
    left join automation.kinds k on k.kind = l.kind
    left join automation.runs r on r.tenant_id = l.tenant_id and r.run_id = l.run_id
    left join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.rule_revision
    where l.due_at <= p_limit_due
      and (k.outward or exists (
          select from jsonb_path_query(v.definition -> 'actions', 'strict $.**.type') t(name) join automation.kinds o on o.kind = t.name #>> '{}'
          where o.outward));
end $$;

-- Redis's beacon is ahead, so the leader has stopped dispatching, ticking and admitting. An operator who has looked says from when on this database
-- knows nothing (p_since, for the audit trail) and what becomes of jobs that act outward and were due until now, since they may have acted:
-- ask: parked as `unknown_outcome` · rerun: they run, with the same effect keys · skip: they end as skipped, `restored`.
-- Nobody owns what was claimed at that time; cached rule sets of the lost time are never asked for again.
create function automation_priv.restore_resume(p_since timestamptz, p_outward text, p_by text) returns table (epoch uuid, freed integer, doubtful integer)
language plpgsql security definer set search_path = '' as $$
declare v_now timestamptz := automation.now();
begin
    if p_outward is null or p_outward not in ('ask', 'rerun', 'skip') then
        raise exception 'outward %: ask, rerun or skip', quote_nullable(p_outward) using errcode = '22023';
    elsif p_since is null or p_since > v_now then
        raise exception 'since %: a time that has passed, to which this database was restored', p_since using errcode = '22023';
    end if;
    update automation_priv.beacon set outward = p_outward, resume_until = v_now where redis_seq > seq;
    if not found then
        raise exception 'this database is not behind: no leader has found Redis''s beacon ahead of it' using errcode = 'U0002';
    end if;
    epoch := automation_priv.new_epoch();
    delete from automation_priv.workers;
    update automation_priv.ledger l set owner = null, claimed_at = null, acting = null where l.owner is not null;
    get diagnostics freed = row_count;
    select count(*) into doubtful from automation_priv.may_have_acted(v_now);
    insert into automation_priv.audit_trail (who, what, asked, n, filter)
    values (p_by, 'restore_resume', doubtful, freed, jsonb_build_object('since', p_since, 'until', v_now, 'outward', p_outward));
    perform pg_catalog.pg_notify('automation_wake', '');
    return next;
end $$;

-- The leader's question each second while Redis is ahead. 0: nobody has decided. 1: decided; what was due until then is still to be planned, and
-- nothing is admitted yet. 2: the decision holds for all of it, and the sequence has caught up.
create function automation_priv.beacon_raise(p_term bigint, p_seq bigint) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    b automation_priv.beacon;
    v_ids uuid[];
begin
    perform automation_priv.lead(p_term);
    select * into b from automation_priv.beacon for update;
    if b.outward is null then
        update automation_priv.beacon set redis_seq = p_seq;
        return 0;
    end if;
    if b.outward <> 'rerun' then
        if exists (select from automation_priv.rules_to_check(1)) or exists (select from automation_priv.wedding_changes)
            or exists (select from automation_priv.outbox o where o.available_at <= b.resume_until)
            or exists (select from automation.timings t where t.state = 'pending' and t.due_at <= b.resume_until) then
            return 1;
        end if;
        select array_agg(m) into v_ids from automation_priv.may_have_acted(b.resume_until) m;
        if b.outward = 'ask' then
            update automation_priv.ledger l set due_at = null, parked_reason = 'unknown_outcome' where l.job_id = any (v_ids);
        else
            perform automation_priv.end_unrun(v_ids, 'skipped', 'restored', 5::smallint);
        end if;
    end if;
    update automation_priv.beacon set seq = greatest(seq, p_seq), redis_seq = null, outward = null, resume_until = null;
    return 2;
end $$;

-- ---- retention ------------------------------------------------------------------------------------------------------------------------------------
-- Every table of the three schemas stands here, or a test fails: with how long its rows are kept, or with the reason why nothing has to be purged. A file
-- that makes a table adds its row here (030, 031) or beside the table. `keep` may be changed by operators; `stamp` (an expression over the row, t) and
-- `only_if` (what else must hold of a row that goes; $1 is the instant before which rows are old) are the schema's, and run with the owner's rights.
create table automation_priv.retention (
    table_name text primary key check (table_name ~ '^automation(_priv)?\.[a-z_]+$'),
    stamp text,
    keep interval check (keep > '0'),
    only_if text not null default 'true',
    batch integer not null default 5000 check (batch between 1 and 1000000),
    reason text not null,
    check ((stamp is null) = (keep is null))
);
insert into automation_priv.retention (table_name, reason) values
    ('automation.tenants', 'kept: tenants'' data'),
    ('automation.members', 'kept: tenants'' data'),
    ('automation.weddings', 'kept: tenants'' data'),
    ('automation.contacts', 'kept: tenants'' data'),
    ('automation.vendors', 'kept: tenants'' data'),
    ('automation.wedding_vendors', 'kept: tenants'' data'),
    ('automation.milestones', 'kept: tenants'' data'),
    ('automation.tasks', 'kept: tenants'' data, also where a rule made them'),
    ('automation.notes', 'kept: tenants'' data, also where a rule made them'),
    ('automation.rules', 'kept: tenants'' data'),
    ('automation.rule_dependencies', 'kept: tenants'' data'),
    ('automation.ruleset_state', 'bounded: one row a tenant'),
    ('automation.kinds', 'bounded: one row a kind of job'),
    ('automation.execution_logs', 'archived by months: usher archive'),
    ('automation_priv.clock', 'bounded: one row'),
    ('automation_priv.epoch', 'bounded: one row'),
    ('automation_priv.leader', 'bounded: one row'),
    ('automation_priv.leader_beat', 'bounded: one row'),
    ('automation_priv.beacon', 'bounded: one row'),
    ('automation_priv.rule_cache', 'bounded: three rows'),
    ('automation_priv.switches', 'bounded: one row'),
    ('automation_priv.log_upkeep', 'bounded: one row'),
    ('automation_priv.retention', 'bounded: one row a table'),
    ('automation_priv.schema_migrations', 'bounded: one row a migration'),
    ('automation_priv.log_partitions', 'kept: one row a month, which says where its log is'),
    ('automation_priv.audit_trail', 'kept for good: what operators did, and who approved ahead'),
    ('automation_priv.ledger', 'bounded: unfinished jobs; a job that ends leaves'),
    ('automation_priv.wait_checks', 'bounded: unfinished jobs'),
    ('automation_priv.workers', 'bounded: a dead worker''s row goes with its last job'),
    ('automation_priv.job_deltas', 'bounded: folded into job_counts every second'),
    ('automation_priv.rollup_deltas', 'bounded: folded into execution_rollup every few seconds');
insert into automation_priv.retention (table_name, stamp, keep, only_if, batch, reason) values
    -- A run's row is its fire key, so it stays as long as its wedding could make the same rule fire again.
    ('automation.runs', 't.started_at', '13 months', $x$ t.state <> 'running' and t.finished_at < $1
        and not exists (select from automation.weddings w where w.tenant_id = t.tenant_id and w.wedding_id = t.wedding_id
            and coalesce(w.ceremony_date >= ($1 at time zone 'UTC')::date, w.status not in ('completed', 'cancelled', 'archived')))
        and not exists (select from automation_priv.ledger l where l.tenant_id = t.tenant_id and l.wedding_id = t.wedding_id and l.run_id = t.run_id)
        and (t.wedding_id is not null
            or not exists (select from automation_priv.ledger l where l.tenant_id = t.tenant_id and l.wedding_id is null and l.run_id = t.run_id))
        and not exists (select from automation.dead_letters d where d.tenant_id = t.tenant_id and d.run_id = t.run_id
            and d.replayed_as is null and d.discarded_at is null) $x$, 2000, 'history; a run whose wedding is to come stays'),
    ('automation.rule_versions', 't.created_at', '2 years', $x$
        exists (select from automation.rule_versions n where n.tenant_id = t.tenant_id and n.rule_id = t.rule_id and n.revision > t.revision
            and n.created_at < $1)
        and not exists (select from automation.rules r where r.tenant_id = t.tenant_id and r.rule_id = t.rule_id
            and t.revision >= least(r.revision, coalesce(r.validated_revision, r.revision)))
        and not exists (select from automation.runs r where r.tenant_id = t.tenant_id and r.rule_id = t.rule_id and r.rule_revision = t.revision) $x$,
        2000, 'history; what is in force, or what a run or a job is pinned to, stays'),
    ('automation.dead_letters', 't.died_at', '13 months', $x$ (t.replayed_as is not null or t.discarded_at is not null)
        and not exists (select from automation_priv.ledger l where l.job_id = t.replayed_as)
        and not exists (select from automation.dead_letters d where d.tenant_id = t.tenant_id and d.job_id = t.replayed_as
            and d.replayed_as is null and d.discarded_at is null) $x$, 2000, 'an open one stays until somebody closes it'),
    -- All rows of a day in one batch, so that the audit balances at any time.
    ('automation.job_counts', $x$ (t.day::timestamp at time zone 'UTC') $x$, '3 years', $x$
        not exists (select from automation_priv.ledger l where l.tenant_id = t.tenant_id and l.accepted_day = t.day) $x$, 1000000,
        'six rows a tenant and day; a day with an unfinished job stays'),
    ('automation.execution_rollup', 't.hour', '3 years', 'true', 5000, 'analytics outlive the log that they were counted from'),
    ('automation_priv.unique_keys', 't.held_until', '1 hour', 'true', 5000, 'a key whose time is over is free again anyway'),
    ('automation_priv.log_quarantine', 't.at', '13 months', 'true', 5000, 'as long as the log itself; replay before'),
    ('automation_priv.log_stage', 't.queued_at', '7 days', 'true', 5000, 'emptied by the transaction that fills it; leftovers are of no use');

-- For the purge, which would read the whole table to find that nothing is old; here and beside the other tables. B-trees: a BRIN is a microsecond a row
-- cheaper, but its ranges stay as old as what was ever purged from them, and their pages, which new rows fill, are read again each time. log_stage needs
-- none: it is empty between transactions.
create index rule_versions_created on automation.rule_versions (created_at);
create index dead_letters_purge on automation.dead_letters (died_at);
create index job_counts_day on automation.job_counts ((day::timestamp at time zone 'UTC'));
create index execution_rollup_hour on automation.execution_rollup (hour);
create index log_quarantine_at on automation_priv.log_quarantine (at);

-- Deletes a batch of rows older than $1.
create function automation_priv.purge_statement(r automation_priv.retention) returns text
language sql stable set search_path = '' as $$
    select format('delete from %1$s t where t.ctid = any (array(select t.ctid from %1$s t where %2$s < $1 and (%3$s) limit %4$s for update of t skip locked))',
                  r.table_name::regclass, r.stamp, r.only_if, r.batch)
$$;

-- One batch of the first table, by name, that follows p_after and is purged at all; no row: there is none. more: the same table has more to purge.
-- Locked rows are left for the next time. Nothing is purged while the domain clock is stepped: its instants are not the machine's.
create function automation_priv.purge(p_term bigint, p_after text) returns table (table_name text, purged integer, more boolean)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    r automation_priv.retention;
    v_before timestamptz;
begin
    perform automation_priv.lead(p_term);
    select x.* into r from automation_priv.retention x where x.keep is not null and x.table_name > p_after order by x.table_name limit 1;
    if not found or exists (select from automation_priv.clock c where c.mode = 'stepped') then
        return;
    end if;
    v_before := ((clock_timestamp() at time zone 'UTC') - r.keep) at time zone 'UTC';
    execute automation_priv.purge_statement(r) using v_before;
    get diagnostics purged = row_count;
    table_name := r.table_name;
    more := purged = r.batch;
    return next;
end $$;

do $$
declare f text;
begin
    for f in select p.oid::regprocedure from pg_catalog.pg_proc p where p.pronamespace = 'automation_priv'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end $$;
reset role;
