-- The frame of the time-travel stories (tests/stories/README.md): what each story's host application does, played on the stepped clock, and the
-- list of what became of it. All stories play at once in one system, each with a tenant of its own.
create schema stories;

create table stories.story (name text primary key, doc jsonb not null, tenant uuid not null, zone text not null);
create table stories.script (
    id bigint generated always as identity primary key,
    story text not null,
    at timestamptz not null,
    line jsonb not null
);
create table stories.mails (n bigint generated always as identity, message_id text not null, recipient text not null, subject text not null);

create function stories.id(p_story text, p_name text) returns uuid
language sql immutable as $$ select automation_priv.derive('story', p_story, p_name) $$;

create function stories.text_action(t text) returns jsonb
language plpgsql immutable as $$
declare
    v_words text[] := string_to_array(split_part(t, ':', 1), ' ');
    v_rest text := btrim(substr(t, strpos(t, ':') + 1));
begin
    return case v_words[1]
        when 'mail' then jsonb_build_object('type', 'send_email', 'params', jsonb_build_object('to', v_words[2], 'subject', v_rest, 'text', v_rest))
        when 'vendor' then jsonb_build_object('type', 'notify_vendor', 'params', jsonb_build_object('role', v_words[2], 'subject', v_rest, 'text', v_rest))
        when 'team' then jsonb_build_object('type', 'notify_team', 'params', jsonb_build_object('subject', v_rest, 'text', v_rest))
        when 'task' then jsonb_build_object('type', 'create_task', 'params', jsonb_build_object('title', v_rest))
        when 'note' then jsonb_build_object('type', 'create_note', 'params', jsonb_build_object('text', v_rest))
        when 'stage' then jsonb_build_object('type', 'move_stage', 'params', jsonb_build_object('stage', v_words[2]))
        when 'tag' then jsonb_build_object('type', 'add_tag', 'params', jsonb_build_object('tag', v_words[2]))
        when 'emit' then jsonb_build_object('type', 'emit_event', 'params', jsonb_build_object('type', v_words[2]))
        when 'wait' then jsonb_build_object('type', 'wait', 'for', v_words[2])
        when 'start' then jsonb_build_object('type', 'start_rule', 'params', jsonb_build_object('rule', v_rest))
        when 'stop' then jsonb_build_object('type', 'stop_rule', 'params', jsonb_build_object('rule', v_rest)) end;
end $$;

-- Short forms are expanded: an action or a trigger may be a line of text.
create function stories.actions(p_story text, a jsonb) returns jsonb
language plpgsql as $$
declare x jsonb; v jsonb := '[]';
begin
    for x in select * from jsonb_array_elements(a) loop
        if jsonb_typeof(x) = 'string' then
            x := stories.text_action(x #>> '{}');
        elsif x ? 'mail' then
            x := stories.text_action('mail ' || (x ->> 'mail')) || (x - 'mail');
        end if;
        if x is null then
            raise exception 'story %: an action that is no action', p_story;
        end if;
        if x ->> 'type' = 'branch' then
            x := x || jsonb_build_object('then', stories.actions(p_story, coalesce(x -> 'then', '[]')), 'else', stories.actions(p_story, coalesce(x -> 'else', '[]')));
        elsif x ->> 'type' = 'for_each' then
            x := x || jsonb_build_object('do', stories.actions(p_story, x -> 'do'));
        elsif x ->> 'type' in ('start_rule', 'stop_rule') then
            x := jsonb_set(x, '{params,rule}', to_jsonb(stories.id(p_story, x #>> '{params,rule}')));
        end if;
        v := v || jsonb_build_array(x);
    end loop;
    return v;
end $$;

create function stories.definition(p_story text, p_name text, d jsonb) returns jsonb
language plpgsql as $$
declare
    v_words text[] := string_to_array(d ->> 'trigger', ' ');
    v_trigger jsonb := d -> 'trigger';
begin
    if jsonb_typeof(d -> 'trigger') = 'string' then
        v_trigger := case v_words[1]
            when 'event' then jsonb_build_object('type', 'event', 'event', v_words[2])
            when 'manual' then '{"type": "manual"}'
            else jsonb_strip_nulls(jsonb_build_object('type', 'milestone', 'milestone', v_words[1], 'offset', v_words[2], 'at', v_words[3], 'time_zone', v_words[4])) end;
    end if;
    return '{"schema_version": 1}' || (d - 'status') || jsonb_build_object('name', p_name, 'trigger', v_trigger,
        'actions', stories.actions(p_story, d -> 'actions'));
end $$;

create function stories.put_rule(s stories.story, p_name text, d jsonb) returns void
language plpgsql as $$
begin
    insert into automation.rules (tenant_id, rule_id, name, status, definition)
    values (s.tenant, stories.id(s.name, p_name), p_name, coalesce(d ->> 'status', 'active'), stories.definition(s.name, p_name, d))
    on conflict (tenant_id, rule_id) do update set status = excluded.status, definition = excluded.definition;
end $$;

create function stories.put_wedding(s stories.story, p_name text, w jsonb) returns void
language plpgsql as $$
declare v_id uuid := stories.id(s.name, p_name);
begin
    insert into automation.weddings
    select (jsonb_populate_record(null::automation.weddings, jsonb_build_object('title', p_name, 'status', 'booked', 'time_zone', s.zone, 'venue', '{}'::jsonb,
        'service_types', '[]'::jsonb, 'tags', '[]'::jsonb, 'attributes', '{}'::jsonb, 'revision', 1, 'change_no', 1, 'created_at', automation.now(),
        'updated_at', automation.now(), 'client_name', initcap(p_name), 'client_email', p_name || '@couple.example') || (w - 'vendors' - 'milestones')
        || jsonb_build_object('tenant_id', s.tenant, 'wedding_id', v_id))).*;
    insert into automation.wedding_vendors (tenant_id, wedding_id, vendor_id, role, confirmed)
    select s.tenant, v_id, stories.id(s.name, v ->> 0), v ->> 1, coalesce((v ->> 2)::boolean, false) from jsonb_array_elements(coalesce(w -> 'vendors', '[]')) v;
    perform stories.put_milestone(s, p_name, m) from jsonb_array_elements(coalesce(w -> 'milestones', '[]')) m;
end $$;

create function stories.put_milestone(s stories.story, p_wedding text, m jsonb) returns void
language plpgsql as $$
begin
    insert into automation.milestones
    select (jsonb_populate_record(null::automation.milestones, jsonb_build_object('source', case when m ? 'derived_from' then 'derived' else 'stored' end) || m
        || jsonb_build_object('tenant_id', s.tenant, 'wedding_id', stories.id(s.name, p_wedding)))).*
    on conflict (tenant_id, wedding_id, name) do update set source = excluded.source, derived_from = excluded.derived_from,
        derived_days = excluded.derived_days, derived_time = excluded.derived_time, local_date = excluded.local_date, local_time = excluded.local_time;
end $$;

create function stories.begin(s stories.story) returns void
language plpgsql as $$
begin
    insert into automation.tenants (tenant_id, name, email, time_zone, settings)
    values (s.tenant, s.name, 'studio@' || replace(s.name, '_', '-') || '.example', s.zone, coalesce(s.doc -> 'tenant', '{}'));
    insert into automation.vendors (tenant_id, vendor_id, name, kind, email)
    select s.tenant, stories.id(s.name, v), v, 'vendor', v || '@vendor.example' from jsonb_array_elements_text(coalesce(s.doc -> 'vendors', '[]')) v;
    perform stories.put_wedding(s, w.key, w.value) from jsonb_each(coalesce(s.doc -> 'weddings', '{}')) w;
    perform stories.put_rule(s, r.key, r.value) from jsonb_each(coalesce(s.doc -> 'rules', '{}')) r;
end $$;

-- The story's sentence is its key "story"; times in its script are local in its zone.
create function stories.load(p_name text, p_doc jsonb) returns void
language plpgsql as $$
declare
    v_zone text := coalesce(p_doc ->> 'zone', 'Europe/Lisbon');
    k text;
begin
    select x into k from jsonb_object_keys(p_doc) x
    where x not in ('story', 'zone', 'from', 'until', 'tenant', 'vendors', 'weddings', 'rules', 'script', 'expect', 'order') limit 1;
    if k is not null or p_doc ->> 'story' is null or jsonb_typeof(p_doc -> 'expect') is distinct from 'array' then
        raise exception 'story %: unknown key % or no "story" or no "expect"', p_name, k;
    end if;
    insert into stories.story values (p_name, p_doc, stories.id(p_name, ''), v_zone);
    insert into stories.script (story, at, line) values (p_name, coalesce(p_doc ->> 'from', '2026-01-05 12:00')::timestamp at time zone v_zone, '["begin"]');
    insert into stories.script (story, at, line)
    select p_name, (l.x ->> 0)::timestamp at time zone v_zone, l.x - 0
    from jsonb_array_elements(coalesce(p_doc -> 'script', '[]')) with ordinality as l(x, i) order by l.i;
end $$;

create function stories.next_at() returns timestamptz
language sql stable as $$ select min(at) from stories.script $$;

-- Plays the next line that is due. Returns null when none is, '' when it is done, or what the frame has to do with processes: "stop scheduler".
create function stories.play_next() returns text
language plpgsql as $$
declare
    c stories.script;
    s stories.story;
    l jsonb;
    v_wedding uuid;
begin
    delete from stories.script x where x.id = (select id from stories.script where at <= automation.now() order by at, id limit 1) returning * into c;
    if not found then return null; end if;
    select * into s from stories.story x where x.name = c.story;
    l := c.line;
    v_wedding := stories.id(s.name, l ->> 1);
    case l ->> 0
    when 'begin' then perform stories.begin(s);
    when 'wedding' then perform stories.put_wedding(s, l ->> 1, l -> 2);
    when 'set' then
        update automation.weddings w set (status, ceremony_date, ceremony_time, time_zone, guest_count, stage, package, client_email) =
            (select n.status, n.ceremony_date, n.ceremony_time, n.time_zone, n.guest_count, n.stage, n.package, n.client_email from jsonb_populate_record(w, l -> 2) n)
        where w.tenant_id = s.tenant and w.wedding_id = v_wedding;
    when 'milestone' then perform stories.put_milestone(s, l ->> 1, l -> 2);
    when 'forget' then delete from automation.milestones m where m.tenant_id = s.tenant and m.wedding_id = v_wedding and m.name = l ->> 2;
    when 'event' then perform automation.publish_event(s.tenant, l ->> 2, v_wedding, coalesce(l -> 3, '{}'), stories.id(s.name, c.id::text));
    when 'rule' then perform stories.put_rule(s, l ->> 1, l -> 2);
    when 'status' then update automation.rules r set status = l ->> 2 where r.tenant_id = s.tenant and r.rule_id = stories.id(s.name, l ->> 1);
    when 'vendor' then
        insert into automation.wedding_vendors (tenant_id, wedding_id, vendor_id, role) values (s.tenant, v_wedding, stories.id(s.name, l ->> 2), l ->> 3);
    when 'decide' then
        perform automation.decide_approval(s.tenant, a.approval_id, l ->> 2, 'team', l -> 3) from automation.approvals a
        where a.tenant_id = s.tenant and a.wedding_id = v_wedding and a.state = 'pending';
    when 'preapprove' then perform automation.preapprove(s.tenant, stories.id(s.name, l ->> 1), 'team', case when l ->> 2 is not null then stories.id(s.name, l ->> 2) end);
    when 'revoke' then perform automation.revoke_preapproval(s.tenant, stories.id(s.name, l ->> 1), 'team', case when l ->> 2 is not null then stories.id(s.name, l ->> 2) end);
    when 'move' then
        perform automation.move_wedding(s.tenant, v_wedding, (l ->> 2)::date, (l ->> 3)::time);
    when 'without' then
        delete from automation.wedding_vendors v where v.tenant_id = s.tenant and v.wedding_id = v_wedding and v.vendor_id = stories.id(s.name, l ->> 2);
    when 'sql' then execute replace(replace(l ->> 1, ':tenant', quote_literal(s.tenant)), ':story', quote_literal(s.name));
    when 'jump' then -- time passes although work is waiting: an outage
        perform automation_priv.ensure_partitions((l ->> 1)::timestamp at time zone s.zone, (l ->> 1)::timestamp at time zone s.zone);
        update automation_priv.clock k set at = (l ->> 1)::timestamp at time zone s.zone where k.at < (l ->> 1)::timestamp at time zone s.zone;
    else
        return (l ->> 0) || ' ' || (l ->> 1); -- start, stop or kill a process or a store
    end case;
    return '';
end $$;

create function stories.step(p_until timestamptz) returns table (moved boolean, finished boolean, busy text)
language sql as $$
    select c.stepped, not c.stepped and c.busy = '', coalesce(c.busy, '') from automation_priv.clock_step(coalesce(stories.next_at(), p_until)) c
$$;

-- What became of a story, as lines of local time, wedding, rule and what happened: every effect of a step, what died, and every run that did not
-- simply succeed.
create function stories.happened(p_story text) returns table (line text)
language sql stable as $$
    select to_char(x.at at time zone x.zone, 'YYYY-MM-DD HH24:MI') || ' ' || x.wedding || ' ' || x.rule || ' ' || x.what
    from (
        select l.queued_at as at, w.time_zone as zone, coalesce(w.title, '-') as wedding, r.name as rule, l.kind, s.doc,
            case when l.outcome = 2 then l.kind || ' dead ' || l.reason
                when l.outcome = 5 then l.kind || ' skipped ' || l.reason
                when l.kind in ('send_email', 'notify_vendor', 'notify_team') then coalesce('mail ' || m.recipient || ': ' || m.subject, l.kind || ' NOT RECEIVED')
                else l.kind || coalesce(' ' || t.title, '') end as what
        from automation.execution_logs l
        join stories.story s on s.tenant = l.tenant_id
        join automation.rules r on r.tenant_id = l.tenant_id and r.rule_id = l.rule_id
        left join automation.weddings w on w.tenant_id = l.tenant_id and w.wedding_id = l.wedding_id
        left join automation.tasks t on t.tenant_id = l.tenant_id and t.task_id = l.job_id
        left join (select distinct message_id, recipient, subject from stories.mails) m on m.message_id = l.job_id::text
        where s.name = p_story and (l.outcome = 2 or (l.outcome = 5 and l.reason like 'approval%') or (l.outcome = 0 and l.kind not in ('wait', 'branch', 'stop', 'for_each')))
        union all
        select t.created_at, w.time_zone, coalesce(w.title, '-'), 'notice', '', s.doc, t.title
        from automation.tasks t join stories.story s on s.tenant = t.tenant_id
        left join automation.weddings w on w.tenant_id = t.tenant_id and w.wedding_id = t.wedding_id
        where s.name = p_story and not exists (select from automation.execution_logs l where l.tenant_id = t.tenant_id and l.job_id = t.task_id)
        union all
        select r.finished_at, w.time_zone, coalesce(w.title, '-'), u.name, '', s.doc, r.state || ' ' || coalesce(r.reason, '')
        from automation.runs r
        join stories.story s on s.tenant = r.tenant_id
        join automation.rules u on u.tenant_id = r.tenant_id and u.rule_id = r.rule_id
        left join automation.weddings w on w.tenant_id = r.tenant_id and w.wedding_id = r.wedding_id
        where s.name = p_story and r.state not in ('running', 'succeeded')
    ) x
    cross join lateral (select coalesce(x.zone, 'UTC') as zone) z
    where x.doc ->> 'until' is null or x.at < (x.doc ->> 'until')::timestamp at time zone z.zone
    order by x.at, x.wedding, x.rule, x.what
$$;

-- Of the mails that the story's key "order" names, those accepted, in the relay's order.
create function stories.accepted(p_story text) returns jsonb
language sql stable as $$
    select coalesce(jsonb_agg(m.subject order by m.n), '[]') from stories.mails m
    join automation.execution_logs l on l.job_id::text = m.message_id and l.outcome = 0
    join stories.story s on s.tenant = l.tenant_id and s.name = p_story where s.doc -> 'order' ? m.subject
$$;

-- Lines that are missing (-) and lines that were not expected (+), and mails that came in another order.
create function stories.differences() returns table (story text, line text)
language plpgsql stable as $$
declare s stories.story;
begin
    for s in select * from stories.story order by name loop
        if s.doc -> 'order' <> stories.accepted(s.name) then
            return query values (s.name, '- in this order: ' || (s.doc ->> 'order')), (s.name, '+ in this order: ' || stories.accepted(s.name)::text);
        end if;
        return query
        with want as (select x as l, row_number() over (partition by x) as n from jsonb_array_elements_text(s.doc -> 'expect') x),
        got as (select h.line as l, row_number() over (partition by h.line) as n from stories.happened(s.name) h)
        select s.name, case when g.l is null then '- ' || w.l else '+ ' || g.l end
        from want w full join got g on g.l = w.l and g.n = w.n where w.l is null or g.l is null order by coalesce(w.l, g.l);
    end loop;
end $$;
