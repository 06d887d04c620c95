-- 035: who sees what. Row-level security on every table of `automation` and `automation_part`, policies per role and command, grants.
--
-- Roles: automation_owner (owns all; nobody is it unasked), automation_worker, automation_scheduler, automation_maint,
-- automation_monitor, automation_api (logins are made members of these), and Supabase's anon, authenticated and service_role.
--
--   authenticated  a tenant's people: the tenant of the token, automation.jwt_tenant(), while automation.members has them, and the columns that
--                  are theirs to write
--   anon           nothing
--   service_role   the tenants' services: BYPASSRLS at Supabase, the tables that authenticated may write and the SQL doors
--   worker         the ledger through functions, the log by appending; no tenant's table
--   api            a program that acts for one tenant at a time: the tenant that its transaction names, automation.ctx_tenant(); reads only
--   scheduler      reads all tenants: it serves operators
--   monitor        counters without a person in them
--
-- A policy reads `tenant_id = (select f())`, so that f is called once a statement and tenant_id stays an index condition. Leaves of the log have
-- row-level security without any policy, no grants, and lie in a schema that nobody may use: three barriers. automation_priv has no API grants.

do $$
declare r text;
begin
    foreach r in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = r) then
            begin
                execute format('create role %I nologin', r);
            exception when duplicate_object or unique_violation then null; -- another database of this cluster was first
            end;
            -- As at Supabase. Who may not grant this has to name policies for service_role, or leave it without rows.
            if r = 'service_role' and (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
                alter role service_role bypassrls;
            end if;
        end if;
    end loop;
end $$;
do $$
begin
    if not pg_catalog.pg_has_role('automation_scheduler', 'automation_api', 'member') then
        grant automation_api to automation_scheduler; -- it serves the API, each request as this role
    end if;
    -- The programs' health check compares the folder with what the migration runner noted; other runners do not have this table.
    if pg_catalog.to_regclass('automation_priv.schema_migrations') is not null then
        grant select on automation_priv.schema_migrations to automation_worker, automation_scheduler, automation_maint, automation_monitor;
    end if;
end $$;

set local role automation_owner;

grant usage on schema automation to authenticated, service_role, automation_api;
grant execute on function automation.jwt_tenant to authenticated;
grant execute on function automation.ctx_tenant to automation_api;

-- 034 and those before grant reading to the scheduler and the monitor as a whole; the monitor keeps what holds no person.
revoke select on all tables in schema automation from automation_monitor;
grant select on automation.kinds, automation.job_counts, automation.execution_rollup, automation.vendor_rollup, automation.ruleset_state,
    automation.usher_unaccounted_jobs, automation.usher_sources to automation_monitor;
grant select on automation.usher_unaccounted_jobs, automation.usher_sources to automation_scheduler;
-- Payloads are content, and so are keys, operators' words and the host's rows.
revoke select on automation_priv.ledger, automation_priv.outbox, automation_priv.outbox_quarantine, automation_priv.log_quarantine, automation_priv.log_stage,
    automation_priv.unique_keys, automation_priv.audit_trail, automation_priv.sources, automation_priv.source_errors, automation_priv.source_rows from automation_monitor;
grant select (source_id, host_name, state, backfilled, attached_at) on automation_priv.sources to automation_monitor;
grant select (id, source_id, at, sqlstate) on automation_priv.source_errors to automation_monitor;
grant select (job_id, tenant_id, queue, kind, priority, due_at, parked_reason, attempt, crashes, owner, claim_no, claimed_at, acting, accepted_at)
    on automation_priv.ledger to automation_monitor;
grant select (id, tenant_id, event_type, hops, occurred_at, available_at, marks) on automation_priv.outbox, automation_priv.outbox_quarantine
    to automation_monitor;
grant select (id, tenant_id, job_id, reason, at) on automation_priv.log_quarantine to automation_monitor;

-- ---- functions of the programs: each may call what its statements name and nothing else ------------------------------------------------------
-- The leader's duties (common/io/store_lead*.c), statistics, and sums for metrics. Not the archiver's functions, nor the clock that development steps.
grant execute on function
    automation_priv.activate_rules, automation_priv.analyze_logs, automation_priv.audit, automation_priv.beacon_next, automation_priv.beacon_raise,
    automation_priv.count_rule_cache, automation_priv.dead_fed, automation_priv.dead_unfed, automation_priv.due_herds, automation_priv.due_jobs,
    automation_priv.due_timings, automation_priv.ensure_partitions, automation_priv.fold_deltas, automation_priv.fold_rollups,
    automation_priv.fold_vendors, automation_priv.hist_add, automation_priv.hist_bucket, automation_priv.hist_percentile, automation_priv.hist_sum,
    automation_priv.hist_value, automation_priv.leader_beat, automation_priv.leader_take, automation_priv.load_ruleset, automation_priv.log_runway,
    automation_priv.mark_event, automation_priv.missing_messages, automation_priv.plan_runs, automation_priv.purge, automation_priv.queued_ready,
    automation_priv.refresh_stats, automation_priv.refresh_zones, automation_priv.release_queued, automation_priv.relieve_entries,
    automation_priv.replan_weddings, automation_priv.rules_beside, automation_priv.rules_to_check, automation_priv.settle_timing_keys,
    automation_priv.shape_load, automation_priv.stamp_rule, automation_priv.still_waiting, automation_priv.sweep_workers, automation_priv.take_events,
    automation_priv.take_wait_checks, automation_priv.timing_facts, automation_priv.unmark_event, automation_priv.wake_waits
    to automation_scheduler;
-- The archiver. What it detaches, copies and attaches is the owner's, whose member its login is besides.
grant execute on function automation_priv.partitions_due, automation_priv.leaf_actual, automation_priv.leaf_facts, automation_priv.move_leaf, automation_priv.make_leaf,
    automation_priv.attach_leaf, automation_priv.drop_leaf, automation_priv.ensure_partitions, automation_priv.replay_quarantine, automation_priv.log_runway,
    automation_priv.analyze_logs to automation_maint;
grant select on automation_priv.log_partitions, automation_priv.log_upkeep, automation_priv.clock to automation_maint;

-- ---- tenants and members: the host application makes them -----------------------------------------------------------------------------
create policy tenants_read on automation.tenants for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy tenants_update on automation.tenants for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy tenants_api on automation.tenants for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy tenants_operator on automation.tenants for select to automation_scheduler using (true);
grant select, update (name, email, time_zone, settings) on automation.tenants to authenticated;
grant select, insert, update, delete on automation.tenants to service_role;

create policy members_read on automation.members for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy members_api on automation.members for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy members_operator on automation.members for select to automation_scheduler using (true);
grant select on automation.members to authenticated;
grant select, insert, update, delete on automation.members to service_role;

-- ---- weddings and what belongs to them: revision, change_no and times are the database's ------------------------------------------------
create policy weddings_read on automation.weddings for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy weddings_insert on automation.weddings for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy weddings_update on automation.weddings for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy weddings_delete on automation.weddings for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy weddings_api on automation.weddings for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy weddings_operator on automation.weddings for select to automation_scheduler using (true);
grant select, delete,
    insert (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, time_zone, inquired_on, booked_on, guest_count, venue, service_types, package,
            budget_cents, stage, tags, client_name, client_email, client_phone, attributes),
    update (title, status, ceremony_date, ceremony_time, time_zone, inquired_on, booked_on, guest_count, venue, service_types, package, budget_cents, stage, tags,
            client_name, client_email, client_phone, attributes)
    on automation.weddings to authenticated, service_role;

create policy contacts_read on automation.contacts for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy contacts_insert on automation.contacts for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy contacts_update on automation.contacts for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy contacts_delete on automation.contacts for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy contacts_api on automation.contacts for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy contacts_operator on automation.contacts for select to automation_scheduler using (true);
grant select, insert, delete, update (wedding_id, role, name, email, phone) on automation.contacts to authenticated, service_role;

create policy vendors_read on automation.vendors for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy vendors_insert on automation.vendors for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy vendors_update on automation.vendors for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy vendors_delete on automation.vendors for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy vendors_api on automation.vendors for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy vendors_operator on automation.vendors for select to automation_scheduler using (true);
grant select, insert, delete, update (name, kind, email, phone) on automation.vendors to authenticated, service_role;

create policy wedding_vendors_read on automation.wedding_vendors for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy wedding_vendors_insert on automation.wedding_vendors for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy wedding_vendors_update on automation.wedding_vendors for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy wedding_vendors_delete on automation.wedding_vendors for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy wedding_vendors_api on automation.wedding_vendors for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy wedding_vendors_operator on automation.wedding_vendors for select to automation_scheduler using (true);
grant select, delete, insert (tenant_id, wedding_id, vendor_id, role, relationship, confirmed, arrival), update (relationship, confirmed, arrival)
    on automation.wedding_vendors to authenticated, service_role;

-- Rows with source `wedding` mirror the wedding's own columns: they change there.
create policy milestones_read on automation.milestones for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy milestones_insert on automation.milestones for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()) and source <> 'wedding');
create policy milestones_update on automation.milestones for update to authenticated
    using (tenant_id = (select automation.jwt_tenant()) and source <> 'wedding') with check (tenant_id = (select automation.jwt_tenant()) and source <> 'wedding');
create policy milestones_delete on automation.milestones for delete to authenticated using (tenant_id = (select automation.jwt_tenant()) and source <> 'wedding');
create policy milestones_api on automation.milestones for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy milestones_operator on automation.milestones for select to automation_scheduler using (true);
grant select, insert, delete, update (source, derived_from, derived_days, derived_time, local_date, local_time) on automation.milestones to authenticated, service_role;

create policy tasks_read on automation.tasks for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy tasks_insert on automation.tasks for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy tasks_update on automation.tasks for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy tasks_delete on automation.tasks for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy tasks_api on automation.tasks for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy tasks_operator on automation.tasks for select to automation_scheduler using (true);
grant select, insert, delete, update (title, assignee, notes, due_on, status) on automation.tasks to authenticated, service_role;

create policy notes_read on automation.notes for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy notes_insert on automation.notes for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy notes_update on automation.notes for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy notes_delete on automation.notes for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy notes_api on automation.notes for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy notes_operator on automation.notes for select to automation_scheduler using (true);
grant select, insert, delete, update (body) on automation.notes to authenticated, service_role;

-- ---- rules: revision, stamps and the trigger's columns are the engine's -------------------------------------------------------------------
create policy rules_read on automation.rules for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rules_insert on automation.rules for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy rules_update on automation.rules for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy rules_delete on automation.rules for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rules_api on automation.rules for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy rules_operator on automation.rules for select to automation_scheduler using (true);
grant select, delete, insert (tenant_id, rule_id, name, status, definition, valid_from, valid_until, season_months, booked_only),
    update (name, status, definition, valid_from, valid_until, season_months, booked_only) on automation.rules to authenticated, service_role;

create policy rule_versions_read on automation.rule_versions for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rule_versions_api on automation.rule_versions for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy rule_versions_operator on automation.rule_versions for select to automation_scheduler using (true);

create policy rule_activations_read on automation.rule_activations for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rule_activations_api on automation.rule_activations for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy rule_activations_operator on automation.rule_activations for select to automation_scheduler using (true);

create policy rule_dependencies_read on automation.rule_dependencies for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rule_dependencies_insert on automation.rule_dependencies for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy rule_dependencies_delete on automation.rule_dependencies for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rule_dependencies_api on automation.rule_dependencies for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy rule_dependencies_operator on automation.rule_dependencies for select to automation_scheduler using (true);
grant select, delete, insert (tenant_id, rule_id, needs_rule_id) on automation.rule_dependencies to authenticated, service_role;
grant select on automation.rule_dependencies to automation_api;

create policy ruleset_state_read on automation.ruleset_state for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy ruleset_state_api on automation.ruleset_state for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy ruleset_state_operator on automation.ruleset_state for select to automation_scheduler, automation_monitor using (true);

create policy timing_keys_read on automation.timing_keys for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy timing_keys_api on automation.timing_keys for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy timing_keys_operator on automation.timing_keys for select to automation_scheduler using (true);

create policy approvals_read on automation.approvals for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy approvals_api on automation.approvals for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy approvals_operator on automation.approvals for select to automation_scheduler using (true);
create policy preapprovals_read on automation.preapprovals for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy preapprovals_api on automation.preapprovals for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy preapprovals_operator on automation.preapprovals for select to automation_scheduler using (true);

create policy timings_read on automation.timings for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy timings_api on automation.timings for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy timings_operator on automation.timings for select to automation_scheduler using (true);

-- ---- templates, texts and names: rows without tenant are everybody's to read, nobody's to write -------------------------------------------
create policy rule_templates_read on automation.rule_templates for select to authenticated
    using (tenant_id = (select automation.jwt_tenant()) or (tenant_id is null and published));
create policy rule_templates_insert on automation.rule_templates for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy rule_templates_update on automation.rule_templates for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy rule_templates_delete on automation.rule_templates for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy rule_templates_api on automation.rule_templates for select to automation_api
    using (tenant_id = (select automation.ctx_tenant()) or (tenant_id is null and published));
create policy rule_templates_operator on automation.rule_templates for select to automation_scheduler using (true);
grant select, delete, insert (tenant_id, key, version, category, name, description, definition, params_schema, published),
    update (category, name, description, definition, params_schema, published) on automation.rule_templates to authenticated, service_role;

create policy message_templates_read on automation.message_templates for select to authenticated
    using (tenant_id = (select automation.jwt_tenant()) or tenant_id is null);
create policy message_templates_insert on automation.message_templates for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy message_templates_update on automation.message_templates for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy message_templates_delete on automation.message_templates for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy message_templates_api on automation.message_templates for select to automation_api
    using (tenant_id = (select automation.ctx_tenant()) or tenant_id is null);
create policy message_templates_operator on automation.message_templates for select to automation_scheduler using (true);
grant select, delete, insert (tenant_id, name, channel, subject, body, html), update (name, channel, subject, body, html)
    on automation.message_templates to authenticated, service_role;

create policy stages_read on automation.stages for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy stages_insert on automation.stages for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy stages_update on automation.stages for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy stages_delete on automation.stages for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy stages_api on automation.stages for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy stages_operator on automation.stages for select to automation_scheduler using (true);
grant select, insert, delete, update (name, title, position) on automation.stages to authenticated, service_role;

create policy forms_read on automation.forms for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy forms_insert on automation.forms for insert to authenticated with check (tenant_id = (select automation.jwt_tenant()));
create policy forms_update on automation.forms for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy forms_delete on automation.forms for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy forms_api on automation.forms for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy forms_operator on automation.forms for select to automation_scheduler using (true);
grant select, insert, delete, update (name, title) on automation.forms to authenticated, service_role;

-- ---- other systems: the services write; a token's hash and a secret's place are nobody's to read -------------------------------------------
create policy integration_events_read on automation.integration_events for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy integration_events_api on automation.integration_events for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy integration_events_operator on automation.integration_events for select to automation_scheduler using (true);
create policy external_sync_state_read on automation.external_sync_state for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy external_sync_state_api on automation.external_sync_state for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy external_sync_state_operator on automation.external_sync_state for select to automation_scheduler using (true);
create policy webhook_endpoints_read on automation.webhook_endpoints for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy webhook_endpoints_update on automation.webhook_endpoints for update to authenticated
    using (tenant_id = (select automation.jwt_tenant())) with check (tenant_id = (select automation.jwt_tenant()));
create policy webhook_endpoints_delete on automation.webhook_endpoints for delete to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy webhook_endpoints_api on automation.webhook_endpoints for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy webhook_endpoints_operator on automation.webhook_endpoints for select to automation_scheduler using (true);
grant select on automation.integration_events, automation.external_sync_state to authenticated, service_role, automation_api;
grant select (tenant_id, endpoint_id, system, direction, url, events, active, created_at) on automation.webhook_endpoints to automation_api;
grant select (tenant_id, endpoint_id, system, direction, url, events, active, created_at), update (events, active), delete on automation.webhook_endpoints to authenticated, service_role;

-- ---- what happened: written by the engine alone ------------------------------------------------------------------------------------------------
create policy runs_read on automation.runs for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy runs_api on automation.runs for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy runs_operator on automation.runs for select to automation_scheduler using (true);

create policy execution_logs_read on automation.execution_logs for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy execution_logs_api on automation.execution_logs for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy execution_logs_operator on automation.execution_logs for select to automation_scheduler using (true);

create policy dead_letters_read on automation.dead_letters for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy dead_letters_api on automation.dead_letters for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy dead_letters_operator on automation.dead_letters for select to automation_scheduler using (true);

create policy trigger_events_read on automation.trigger_events for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy trigger_events_api on automation.trigger_events for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy trigger_events_operator on automation.trigger_events for select to automation_scheduler using (true);

create policy job_counts_read on automation.job_counts for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy job_counts_api on automation.job_counts for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy job_counts_operator on automation.job_counts for select to automation_scheduler, automation_monitor using (true);

create policy execution_rollup_read on automation.execution_rollup for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy execution_rollup_api on automation.execution_rollup for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy execution_rollup_operator on automation.execution_rollup for select to automation_scheduler, automation_monitor using (true);

create policy vendor_rollup_read on automation.vendor_rollup for select to authenticated using (tenant_id = (select automation.jwt_tenant()));
create policy vendor_rollup_api on automation.vendor_rollup for select to automation_api using (tenant_id = (select automation.ctx_tenant()));
create policy vendor_rollup_operator on automation.vendor_rollup for select to automation_scheduler, automation_monitor using (true);

grant select on automation.rule_versions, automation.rule_activations, automation.ruleset_state, automation.timing_keys, automation.timings, automation.approvals, automation.preapprovals, automation.runs, automation.execution_logs,
    automation.dead_letters, automation.trigger_events, automation.job_counts, automation.execution_rollup, automation.vendor_rollup
    to authenticated, service_role;
grant select on automation.stats_rule, automation.stats_milestone, automation.stats_season, automation.stats_vendor to authenticated;

-- What a program that acts for one tenant reads, after set_config('app.tenant_id', …, true).
grant select on automation.tenants, automation.members, automation.weddings, automation.contacts, automation.vendors, automation.wedding_vendors,
    automation.milestones, automation.tasks, automation.notes, automation.rules, automation.rule_versions, automation.rule_activations, automation.ruleset_state, automation.timing_keys,
    automation.timings, automation.approvals, automation.preapprovals, automation.rule_templates, automation.message_templates, automation.stages, automation.forms, automation.runs, automation.execution_logs,
    automation.dead_letters, automation.trigger_events, automation.job_counts, automation.execution_rollup, automation.vendor_rollup to automation_api;

-- ---- doors ---------------------------------------------------------------------------------------------------------------------------------------
-- They take the tenant as an argument, so services that act for all tenants may call them.
grant execute on function automation.enqueue_job, automation.enqueue_jobs, automation.publish_event, automation.instantiate_template, automation.render_template,
    automation.receive_event, automation.receive_webhook, automation.open_endpoint, automation.open_outbound, automation.sync_seen, automation.record_outbound, automation.settle_outbound
    to service_role;

-- What a person may ask the engine for: the tenant is no argument, and a key is the tenant's own, so that nobody takes another's event id. Jobs of
-- free kinds belong to services.
create function automation_priv.own_tenant() returns uuid
language plpgsql stable security definer set search_path = '' as $$
declare v uuid := automation.jwt_tenant();
begin
    if v is null then
        raise exception 'no tenant: the token names none, or its user is no member of it' using errcode = '42501';
    end if;
    return v;
end $$;
create function automation.publish_own_event(p_type text, p_wedding uuid default null, p_payload jsonb default '{}', p_key text default null) returns uuid
language plpgsql security definer set search_path = '' as $$
declare v uuid := automation_priv.own_tenant();
begin
    return automation.publish_event(v, p_type, p_wedding, p_payload,
        case when p_key is not null then automation_priv.derive('own_event', v::text, p_key) end);
end $$;
create function automation.use_template(p_key text, p_params jsonb default '{}', p_version integer default null, p_status text default 'draft',
    p_name text default null) returns uuid
language plpgsql security definer set search_path = '' as $$
begin
    return automation.instantiate_template(automation_priv.own_tenant(), p_key, p_params, p_version, p_status, p_name);
end $$;
-- Who decides, for the record: the token's user. The roles that may are listed, so that one added later may not unasked.
create function automation_priv.own_decider(p_tenant uuid) returns text
language plpgsql stable security definer set search_path = '' as $$
declare v_user uuid := (pg_catalog.current_setting('request.jwt.claims')::jsonb ->> 'sub')::uuid;
begin
    perform from automation.members m where m.tenant_id = p_tenant and m.user_id = v_user and m.role in ('owner', 'admin', 'member');
    if not found then
        raise exception 'this member''s role may not decide on approvals: expected owner, admin or member' using errcode = '42501';
    end if;
    return 'member ' || v_user::text;
end $$;
-- open_outbound() for the caller's tenant: where its data goes is for its owners to say. No secret_ref: those names are the operator's.
create function automation.open_own_outbound(p_system text, p_url text, p_events text[] default '{}') returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    v_tenant uuid := automation_priv.own_tenant();
    v_user uuid := (pg_catalog.current_setting('request.jwt.claims')::jsonb ->> 'sub')::uuid;
begin
    perform from automation.members m where m.tenant_id = v_tenant and m.user_id = v_user and m.role in ('owner', 'admin');
    if not found then
        raise exception 'this member''s role may not open endpoints: expected owner or admin' using errcode = '42501';
    end if;
    return automation.open_outbound(v_tenant, p_system, p_url, p_events);
end $$;
-- decide_approval(), preapprove() and revoke_preapproval() for the caller's tenant.
create function automation.decide_own_approval(p_approval uuid, p_decision text, p_content jsonb default null, p_note text default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare v_tenant uuid := automation_priv.own_tenant();
begin
    return automation.decide_approval(v_tenant, p_approval, p_decision, automation_priv.own_decider(v_tenant), p_content, p_note);
end $$;
create function automation.preapprove_own(p_rule uuid, p_wedding uuid default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare v_tenant uuid := automation_priv.own_tenant();
begin
    return automation.preapprove(v_tenant, p_rule, automation_priv.own_decider(v_tenant), p_wedding);
end $$;
create function automation.revoke_own_preapproval(p_rule uuid, p_wedding uuid default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare v_tenant uuid := automation_priv.own_tenant();
begin
    return automation.revoke_preapproval(v_tenant, p_rule, automation_priv.own_decider(v_tenant), p_wedding);
end $$;
revoke execute on function automation_priv.own_tenant, automation_priv.own_decider, automation.publish_own_event, automation.use_template,
    automation.decide_own_approval, automation.preapprove_own, automation.revoke_own_preapproval, automation.open_own_outbound from public;
grant execute on function automation.publish_own_event, automation.use_template, automation.decide_own_approval, automation.preapprove_own,
    automation.revoke_own_preapproval, automation.open_own_outbound to authenticated;

reset role;
