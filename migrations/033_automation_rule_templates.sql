-- 033: message templates, rule templates and their instances; what the host application has: names that rules use, events from and to other
-- systems, webhook endpoints, and its own tables projected into ours.

set local role automation_owner;

-- ---- message templates -----------------------------------------------------------------------------------------------------------------
-- Texts that rules refer to by name. A row without tenant is everybody's; a tenant's own row of the same name comes before it. Texts are taken when
-- a run is planned and stay with it, so an edit reaches the next runs and never one that is under way.
create table automation.message_templates (
    tenant_id uuid references automation.tenants on delete cascade, -- null: of everybody
    name text not null check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    channel text not null default 'email' check (channel in ('email', 'sms')),
    subject text check (length(subject) between 1 and 900 and subject !~ '[\r\n]'),
    body text not null check (octet_length(body) between 1 and 65536),
    html text check (octet_length(html) between 1 and 65536),
    version integer not null default 1, -- rises with every change
    created_at timestamptz not null default automation.now(),
    updated_at timestamptz not null default automation.now(),
    unique nulls not distinct (tenant_id, name),
    check ((channel = 'email') = (subject is not null) and (channel = 'email' or html is null))
);
alter table automation.message_templates enable row level security;

-- The texts of these templates (a JSON array of names, or null) as they stand now: a part of a run's context. Names that nobody has are left out.
create function automation_priv.message_snapshot(p_tenant uuid, p_names jsonb) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    if p_names is null or p_names = 'null' then
        return '{}';
    end if;
    return jsonb_build_object('message_templates', (
        select coalesce(jsonb_object_agg(m.name, jsonb_strip_nulls(jsonb_build_object('subject', m.subject, 'text', m.body, 'html', m.html, 'version', m.version))), '{}')
        from (select distinct on (t.name) t.* from automation.message_templates t
              where t.name in (select jsonb_array_elements_text(p_names)) and (t.tenant_id = p_tenant or t.tenant_id is null)
              order by t.name, t.tenant_id nulls last) m));
end $$;

-- ---- what rules use ----------------------------------------------------------------------------------------------------------------------
-- Stages and forms as the builders offer them. Rules name them by text; a name that is not listed here is allowed.
create table automation.stages (
    tenant_id uuid not null references automation.tenants on delete cascade,
    name text not null check (length(name) between 1 and 64),
    title text,
    position integer not null default 0,
    primary key (tenant_id, name)
);
create table automation.forms (
    tenant_id uuid not null references automation.tenants on delete cascade,
    name text not null check (name ~ '^[a-z][a-z0-9_]{0,62}$'), -- the slug: forms.<name>.submitted_at
    title text,
    primary key (tenant_id, name)
);
alter table automation.stages enable row level security;
alter table automation.forms enable row level security;

-- The message templates, stages and forms that a rule's document names: parameters of actions, and values that conditions compare with.
create function automation_priv.rule_uses(p_definition jsonb) returns table (kind text, name text)
language sql immutable parallel safe set search_path = '' as $$
    select distinct u.kind, u.value #>> '{}' from (
        select 'message template' as kind, v as value from jsonb_path_query(p_definition, '$.**.params.template') v
        union all select 'form', v from jsonb_path_query(p_definition, '$.**.params.form') v
        union all select 'form', v from jsonb_path_query(p_definition,
            'strict $.** ? (@.type() == "array" && exists (@[*] ? (@.var == "event.form_slug" || @.var == "event.form")))[*]') v
        union all select 'form', v from jsonb_path_query(p_definition,
            'strict $.** ? (@.type() == "array" && exists (@[*] ? (@.var == "event.form_slug" || @.var == "event.form")))[*] ? (@.type() == "array")[*]') v
        union all select 'form', to_jsonb(split_part(v #>> '{}', '.', 2)) from jsonb_path_query(p_definition, '$.**."var" ? (@ starts with "forms.")') v
        union all select 'stage', v from jsonb_path_query(p_definition, '$.**.params.stage') v
        union all select 'stage', v from jsonb_path_query(p_definition, '$.**.params ? (@.path == "wedding.stage").value') v
        union all select 'stage', v from jsonb_path_query(p_definition, 'strict $.** ? (@.type() == "array" && exists (@[*] ? (@.var == "project.stage")))[*]') v
        union all select 'stage', v from jsonb_path_query(p_definition,
            'strict $.** ? (@.type() == "array" && exists (@[*] ? (@.var == "project.stage")))[*] ? (@.type() == "array")[*]') v
        union all select 'stage', v from jsonb_path_query(p_definition, 'strict $.** ? (@.type() == "object" && exists (@.changed_to)).changed_to ? (@[0] == "project.stage")[1]') v) u
    where jsonb_typeof(u.value) = 'string'
$$;

-- Active rules that use a name, in the revision that is written or in the one that runs; p_tenant null: of every tenant that has no such template of its own.
create function automation_priv.rule_users(p_tenant uuid, p_kind text, p_name text) returns table (tenant_id uuid, rule_id uuid, name text)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select r.tenant_id, r.rule_id, r.name from automation.rules r
    left join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.validated_revision
    where r.status = 'active' and (p_tenant is null or r.tenant_id = p_tenant)
      and (p_tenant is not null or not exists (select from automation.message_templates m where m.tenant_id = r.tenant_id and m.name = p_name))
      and (strpos(r.definition::text, p_name) > 0 or strpos(v.definition::text, p_name) > 0) -- cheap, so that few documents are walked through
      and ((p_kind, p_name) in (select u.kind, u.name from automation_priv.rule_uses(r.definition) u)
           or (p_kind, p_name) in (select u.kind, u.name from automation_priv.rule_uses(v.definition) u))
    order by r.tenant_id, r.name, r.rule_id;
end $$;

-- Trigger function for deletions and renamings; its argument is the kind.
create function automation_priv.refuse_used() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_kind text := tg_argv[0];
    v_names text;
    n integer;
begin
    -- Goes with its tenant; or stays what it is; or everybody's row takes its place.
    if (old.tenant_id is not null and not exists (select from automation.tenants t where t.tenant_id = old.tenant_id))
       or (tg_op = 'UPDATE' and (new.tenant_id, new.name) is not distinct from (old.tenant_id, old.name)) then
        return coalesce(new, old);
    end if;
    if v_kind = 'message template' and old.tenant_id is not null
       and exists (select from automation.message_templates m where m.tenant_id is null and m.name = old.name) then
        return coalesce(new, old);
    end if;
    select count(*), string_agg(quote_ident(u.name), ', ' order by u.nr) filter (where u.nr <= 10) into n, v_names
    from (select x.name, row_number() over (order by x.name, x.rule_id) as nr from automation_priv.rule_users(old.tenant_id, v_kind, old.name) x) u;
    if n > 0 then
        raise exception '% % is used by % active %: %', v_kind, quote_ident(old.name), n, case n when 1 then 'rule' else 'rules' end,
            v_names || case when n > 10 then format(' and %s more', n - 10) else '' end
            using errcode = '55006', hint = 'Pause these rules, or change them to use another one.';
    end if;
    return coalesce(new, old);
end $$;
create trigger message_templates_used before delete or update on automation.message_templates
    for each row execute function automation_priv.refuse_used('message template');
create trigger stages_used before delete or update on automation.stages for each row execute function automation_priv.refuse_used('stage');
create trigger forms_used before delete or update on automation.forms for each row execute function automation_priv.refuse_used('form');

create function automation_priv.message_templates_before() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if (new.subject, new.body, new.html, new.channel) is distinct from (old.subject, old.body, old.html, old.channel) then
        new.version := old.version + 1;
        new.updated_at := automation.now();
    end if;
    return new;
end $$;
create trigger message_templates_version before update on automation.message_templates
    for each row execute function automation_priv.message_templates_before();

-- ---- rule templates ------------------------------------------------------------------------------------------------------------------------
-- A document with places for parameters: a text that is nothing but [[name]] becomes the parameter with its type, [[name]] inside a longer text its
-- text. params_schema is JSON Schema: an object of parameters with type, default and limits. A published version never changes; the next one does.
create table automation.rule_templates (
    tenant_id uuid references automation.tenants on delete cascade, -- null: of everybody
    key text not null check (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    version integer not null default 1 check (version > 0),
    category text not null check (category in ('lead', 'booking', 'planning', 'payment', 'final', 'day', 'delivery', 'after', 'exception')),
    name text not null check (length(name) between 1 and 200),
    description text not null,
    definition jsonb not null check (jsonb_typeof(definition) = 'object' and pg_column_size(definition) <= 65536),
    params_schema jsonb not null default '{"type": "object", "properties": {}}',
    published boolean not null default true,
    created_at timestamptz not null default automation.now(),
    unique nulls not distinct (tenant_id, key, version),
    check (jsonb_typeof(params_schema -> 'properties') = 'object')
);
alter table automation.rule_templates enable row level security;

alter table automation.rules add column template_version integer, add column template_params jsonb;

-- What a parameter may be, in words.
create function automation_priv.param_expected(p_schema jsonb) returns text
language sql immutable parallel safe set search_path = '' as $$
    select case
        when p_schema ? 'enum' then 'one of ' || (select string_agg(e::text, ', ') from jsonb_array_elements(p_schema -> 'enum') e)
        when p_schema ->> 'type' in ('integer', 'number') then case p_schema ->> 'type' when 'integer' then 'an integer' else 'a number' end
            || case when p_schema ? 'minimum' and p_schema ? 'maximum' then format(' from %s to %s', p_schema -> 'minimum', p_schema -> 'maximum')
                    when p_schema ? 'minimum' then ' of at least ' || (p_schema ->> 'minimum') when p_schema ? 'maximum' then ' of at most ' || (p_schema ->> 'maximum') else '' end
        when p_schema ->> 'type' = 'boolean' then 'true or false'
        when p_schema ->> 'type' = 'string' then 'a text'
            || case when p_schema ? 'maxLength' then format(' of %s to %s characters', coalesce(p_schema -> 'minLength', '0'), p_schema -> 'maxLength') else '' end
            || case when p_schema ? 'pattern' then ' that matches ' || (p_schema ->> 'pattern') else '' end
        when p_schema ->> 'type' = 'array' then format('a list of at most %s, each ', coalesce(p_schema ->> 'maxItems', '100'))
            || automation_priv.param_expected(coalesce(p_schema -> 'items', '{"type": "string"}'))
        else 'a parameter of a known type' end
$$;

create function automation_priv.param_fits(p_schema jsonb, p_value jsonb) returns boolean
language plpgsql immutable parallel safe set search_path = '' as $$
declare
    v_type text := p_schema ->> 'type';
    v_text text := p_value #>> '{}';
begin
    if p_schema ? 'enum' and not p_schema -> 'enum' @> jsonb_build_array(p_value) then
        return false;
    end if;
    if v_type in ('integer', 'number') then
        return jsonb_typeof(p_value) = 'number' and (v_type = 'number' or v_text::numeric = trunc(v_text::numeric))
            and v_text::numeric >= coalesce((p_schema ->> 'minimum')::numeric, '-infinity')
            and v_text::numeric <= coalesce((p_schema ->> 'maximum')::numeric, 'infinity');
    elsif v_type = 'string' then
        return jsonb_typeof(p_value) = 'string' and length(v_text) between coalesce((p_schema ->> 'minLength')::integer, 0)
            and coalesce((p_schema ->> 'maxLength')::integer, 4096) and v_text ~ coalesce(p_schema ->> 'pattern', '');
    elsif v_type = 'boolean' then
        return jsonb_typeof(p_value) = 'boolean';
    elsif v_type = 'array' then
        return jsonb_typeof(p_value) = 'array' and jsonb_array_length(p_value) between coalesce((p_schema ->> 'minItems')::integer, 0)
            and coalesce((p_schema ->> 'maxItems')::integer, 100)
            and not exists (select from jsonb_array_elements(p_value) e
                where not automation_priv.param_fits(coalesce(p_schema -> 'items', '{"type": "string"}'), e));
    end if;
    return false;
end $$;

-- The parameters with the defaults of those that are not given, or an error that names every wrong one: what was found, what is expected.
create function automation_priv.params_resolve(p_what text, p_schema jsonb, p_params jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
    v_known jsonb := p_schema -> 'properties';
    v_errors jsonb;
    v_text text;
begin
    if jsonb_typeof(p_params) is distinct from 'object' then
        raise exception '%: parameters: found %, expected an object', p_what, coalesce(jsonb_typeof(p_params), 'nothing') using errcode = '22023';
    end if;
    select jsonb_agg(jsonb_build_object('parameter', e.name, 'found', e.found, 'expected', e.expected) order by e.name),
           string_agg(format('parameter %s: %s, expected %s', e.name, case when e.found is null then 'missing' else 'found ' || left(e.found::text, 80) end, e.expected), '; ' order by e.name)
    into v_errors, v_text from (
        select coalesce(k.key, g.key) as name, g.value as found, case when k.key is null
                then coalesce('no such parameter: there are ' || (select string_agg(x, ', ' order by x) from jsonb_object_keys(v_known) x), 'no parameters')
                else automation_priv.param_expected(k.value) end as expected
        from jsonb_each(p_params) g full join jsonb_each(v_known) k on k.key = g.key
        where k.key is null or (g.key is null and not k.value ? 'default' and coalesce(p_schema -> 'required', '[]') ? k.key)
           or (g.key is not null and not automation_priv.param_fits(k.value, g.value))) e;
    if v_text is not null then
        raise exception '%: %', p_what, v_text using errcode = '22023', detail = v_errors::text;
    end if;
    return (select coalesce(jsonb_object_agg(k.key, k.value -> 'default') filter (where k.value ? 'default'), '{}') from jsonb_each(v_known) k) || p_params;
end $$;

-- A document with its places filled. A member whose value is nothing but an optional parameter that is not given is left out.
create function automation_priv.params_fill(p_node jsonb, p_params jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
declare
    v_text text := p_node #>> '{}';
    p record;
begin
    case jsonb_typeof(p_node)
    when 'object' then
        return (select coalesce(jsonb_object_agg(x.key, x.v) filter (where x.v is not null), '{}')
            from (select e.key, automation_priv.params_fill(e.value, p_params) as v from jsonb_each(p_node) e) x);
    when 'array' then
        return (select coalesce(jsonb_agg(x.v order by x.i) filter (where x.v is not null), '[]')
            from (select e.i, automation_priv.params_fill(e.value, p_params) as v from jsonb_array_elements(p_node) with ordinality e(value, i)) x);
    when 'string' then
        if v_text ~ '^\[\[[a-z][a-z0-9_]*\]\]$' then
            return p_params -> substr(v_text, 3, length(v_text) - 4);
        elsif strpos(v_text, '[[') > 0 then
            for p in select * from jsonb_each_text(p_params) loop
                v_text := replace(v_text, '[[' || p.key || ']]', p.value);
            end loop;
            return to_jsonb(v_text);
        end if;
        return p_node;
    else
        return p_node;
    end case;
end $$;

-- A template is refused when a place has no parameter, a parameter no place, or a default does not fit; a published version can not be changed.
create function automation_priv.rule_templates_before() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_what text := format('template %s, version %s', new.key, new.version);
    v_bad text;
begin
    if tg_op = 'UPDATE' and old.published and (new.tenant_id, new.key, new.version, new.definition, new.params_schema)
            is distinct from (old.tenant_id, old.key, old.version, old.definition, old.params_schema) then
        raise exception '% is published and can not be changed: insert version %', v_what, old.version + 1 using errcode = '55000';
    end if;
    select string_agg(coalesce('[[' || places.name || ']] has no parameter', format('parameter %s has no place', k.key)), '; ') into v_bad
    from (select distinct m[1] as name from regexp_matches(new.definition::text, '\[\[([^]]*)\]\]', 'g') m) places
    full join jsonb_each(new.params_schema -> 'properties') k on k.key = places.name where k.key is null or places.name is null;
    if v_bad is not null then
        raise exception '%: %', v_what, v_bad using errcode = '22023';
    end if;
    perform automation_priv.params_resolve(v_what, new.params_schema - 'required',
        (select coalesce(jsonb_object_agg(k.key, k.value -> 'default') filter (where k.value ? 'default'), '{}') from jsonb_each(new.params_schema -> 'properties') k));
    return new;
end $$;
create trigger rule_templates_before before insert or update on automation.rule_templates
    for each row execute function automation_priv.rule_templates_before();

-- The document of a template with these parameters, which is not stored: what a builder shows. p_version null: the newest that is published; a
-- tenant's own template comes before everybody's of the same key.
create function automation.render_template(p_tenant uuid, p_key text, p_params jsonb default '{}', p_version integer default null)
returns table (version integer, name text, definition jsonb, params jsonb)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
declare t automation.rule_templates;
begin
    select * into t from automation.rule_templates x
    where x.key = p_key and (x.tenant_id = p_tenant or x.tenant_id is null) and case when p_version is null then x.published else x.version = p_version end
    order by x.tenant_id nulls last, x.version desc limit 1;
    if not found then
        raise exception 'there is no rule template %', quote_nullable(p_key) || coalesce(' of version ' || p_version, '') using errcode = '22023',
            hint = 'Those there are: ' || (select string_agg(distinct x.key, ', ') from automation.rule_templates x
                                            where (x.tenant_id = p_tenant or x.tenant_id is null) and x.published);
    end if;
    version := t.version;
    name := t.name;
    params := automation_priv.params_resolve(format('template %s, version %s', t.key, t.version), t.params_schema, coalesce(p_params, '{}'));
    definition := automation_priv.params_fill(t.definition, params);
    return next;
end $$;

-- Makes a rule of a template: a draft that a person looks at, or 'active', which the engine checks as any other.
create function automation.instantiate_template(p_tenant uuid, p_key text, p_params jsonb default '{}', p_version integer default null,
    p_status text default 'draft', p_name text default null, p_rule_id uuid default null) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    t record;
    v_id uuid := coalesce(p_rule_id, gen_random_uuid());
begin
    if p_status is null or p_status not in ('draft', 'active') then
        raise exception 'status %: expected ''draft'' or ''active''', quote_nullable(p_status) using errcode = '22023';
    elsif not exists (select from automation.tenants n where n.tenant_id = p_tenant) then
        raise exception 'unknown tenant %', p_tenant using errcode = '22023';
    end if;
    select * into t from automation.render_template(p_tenant, p_key, p_params, p_version);
    insert into automation.rules (tenant_id, rule_id, name, status, definition, template_key, template_version, template_params)
    values (p_tenant, v_id, coalesce(p_name, t.name), p_status, t.definition || jsonb_build_object('name', coalesce(p_name, t.name)), p_key, t.version, t.params);
    return v_id;
end $$;

-- ---- the templates --------------------------------------------------------------------------------------------------------------------------
-- What they ask of a wedding beside its columns are attributes that the host keeps: invoice.balance_due, invoice.autopay, contract.signed_at,
-- forms.<name>.submitted_at, client_consent; of the venue permit_required, coi_required, indoor. An attribute that is missing starts nothing.
insert into automation.message_templates (tenant_id, name, channel, subject, body) values
(null, 'inquiry_autoreply', 'email', 'Thank you for writing to {{tenant.name}}',
'Dear {{client.name}},

thank you for thinking of us for your wedding{{#wedding.date_local}} on {{wedding.date_local}}{{/wedding.date_local}}. We read every inquiry ourselves and answer within one working day.

If you have not told us yet: where will it be, how many guests do you expect, and what matters most to you?

Warm regards,
{{tenant.name}}
'),
(null, 'inquiry_followup_1', 'email', 'Is there anything we can answer?',
'Dear {{client.name}},

a few days ago you asked about your wedding. Perhaps our answer raised new questions, or something is missing: simply reply to this mail.

We would love to hear what you are planning.

Warm regards,
{{tenant.name}}
'),
(null, 'inquiry_followup_2', 'email', 'Shall we keep your date in mind?',
'Dear {{client.name}},

we have not heard from you, and that is quite all right: planning takes time. We will not write again about your inquiry unless you do; your date stays noted for as long as it is free.

Warm regards,
{{tenant.name}}
'),
(null, 'consult_confirmed', 'email', 'Our call is booked',
'Dear {{client.name}},

we look forward to talking with you. If you can, have your date, your venue and a rough guest count at hand; photos of weddings you love help more than words.

Warm regards,
{{tenant.name}}
'),
(null, 'consult_reminder', 'email', 'We talk tomorrow',
'Dear {{client.name}},

a short reminder: we talk tomorrow. If something came up, reply to this mail and we find another time.

Warm regards,
{{tenant.name}}
'),
(null, 'consult_soon', 'email', 'See you in an hour',
'Dear {{client.name}},

we talk in about an hour. See you soon!

Warm regards,
{{tenant.name}}
'),
(null, 'proposal_followup', 'email', 'Your proposal from {{tenant.name}}',
'Dear {{client.name}},

have you had time to look at our proposal? If a part does not fit, tell us: most of it can be changed.

Your date is held for you for a limited time; a short yes is enough to keep it.

Warm regards,
{{tenant.name}}
'),
(null, 'contract_reminder_1', 'email', 'Your contract is ready to sign',
'Dear {{client.name}},

your contract is waiting for your signature. It takes two minutes, and your date is yours from then on.

Warm regards,
{{tenant.name}}
'),
(null, 'contract_reminder_2', 'email', 'Shall we keep your date?',
'Dear {{client.name}},

your contract is still unsigned. We hold your date for one more day; afterwards we may have to offer it to others. If anything in it is unclear, reply to this mail and we go through it together.

Warm regards,
{{tenant.name}}
'),
(null, 'contract_unsigned_team', 'email', 'Unsigned for a week: {{wedding.title}}',
'{{client.name}} has not signed the contract. Two reminders went out; please call.
'),
(null, 'booking_welcome', 'email', 'Welcome! {{wedding.title}} is booked',
'Dear {{client.name}},

it is official: your date is ours{{#wedding.date_local}}, {{wedding.date_local}}{{/wedding.date_local}}{{#venue.name}} at {{venue.name}}{{/venue.name}}.

What happens next: you will get our planning guide in a few weeks and a questionnaire about three months before the day. Until then there is nothing you have to do, but write whenever you like.

Warm regards,
{{tenant.name}}
'),
(null, 'planning_guide', 'email', 'Your planning guide',
'Dear {{client.name}},

here is what we learned from many weddings: settle venue and registrar first, then music, flowers and cake; send save-the-dates eight months ahead and invitations three months ahead; plan ten quiet minutes for the two of you right after the ceremony.

We are happy to recommend people we trust.

Warm regards,
{{tenant.name}}
'),
(null, 'engagement_session', 'email', 'Let us plan your engagement session',
'Dear {{client.name}},

half a year to go: the best time for your engagement session. Reply with two or three dates that suit you, ideally in the last two hours before sunset.

Warm regards,
{{tenant.name}}
'),
(null, 'vendor_intro', 'email', 'Working together on {{wedding.title}}',
'Hello,

we are booked for {{wedding.title}}{{#wedding.date_local}} on {{wedding.date_local}}{{/wedding.date_local}}{{#venue.name}} at {{venue.name}}{{/venue.name}} and look forward to working with you. Who is your contact for the day, and is there a run sheet we should know?

Best,
{{tenant.name}}
'),
(null, 'six_month_checkin', 'email', 'Half a year to go',
'Dear {{client.name}},

six months from now is your day. How is the planning going? If date, place or guest count changed, tell us now and we adjust everything on our side.

Warm regards,
{{tenant.name}}
'),
(null, 'questionnaire', 'email', 'Tell us about your day',
'Dear {{client.name}},

three months to go. Please fill in the questionnaire for {{wedding.date_local}}: schedule, addresses, family names for the group photos, and what must not be missed. Twenty minutes now save hours later.

Warm regards,
{{tenant.name}}
'),
(null, 'questionnaire_nudge', 'email', 'Your questionnaire is still open',
'Dear {{client.name}},

a short reminder of the questionnaire. If you do not know an answer yet, leave it empty and send the rest: we fill the gaps together.

Warm regards,
{{tenant.name}}
'),
(null, 'permits_venue', 'email', 'Insurance and permits for {{wedding.title}}',
'Hello,

for {{wedding.title}} on {{wedding.date_local}} we would like to send you our certificate of insurance in time. Which wording, sums and address does it need, and is there a permit we must apply for?

Best,
{{tenant.name}}
'),
(null, 'final_payment_soon', 'email', 'Your final payment is due in a week',
'Dear {{client.name}},

the balance of {{invoice.balance_due}} for {{wedding.title}} is due in one week. If you have paid already, thank you, and ignore this mail.

Warm regards,
{{tenant.name}}
'),
(null, 'final_payment_today', 'email', 'Your final payment is due today',
'Dear {{client.name}},

a short reminder: the balance of {{invoice.balance_due}} is due today.

Warm regards,
{{tenant.name}}
'),
(null, 'final_payment_team', 'email', 'Overdue: {{wedding.title}}',
'The final payment of {{client.name}}, {{invoice.balance_due}}, is overdue.
'),
(null, 'final_payment_overdue', 'email', 'Your final payment is overdue',
'Dear {{client.name}},

the balance of {{invoice.balance_due}} has been due for a week. Please arrange it in the next days, or tell us if something is in the way: we find a solution.

Warm regards,
{{tenant.name}}
'),
(null, 'timeline_call', 'email', 'Let us talk through your day',
'Dear {{client.name}},

a month to go. Please name two or three times for a call of half an hour: we go through the whole day once, from getting ready to the last dance.

Warm regards,
{{tenant.name}}
'),
(null, 'guest_count_ask', 'email', 'How many guests will there be?',
'Dear {{client.name}},

venue and caterer need the final number of guests. Please send it within the next days; an estimate is better than nothing.

Warm regards,
{{tenant.name}}
'),
(null, 'guest_count_vendor', 'email', 'Guests of {{wedding.title}}: {{wedding.guest_count}}',
'Hello,

the couple confirmed {{wedding.guest_count}} guests for {{wedding.title}} on {{wedding.date_local}}.

Best,
{{tenant.name}}
'),
(null, 'final_details_couple', 'email', 'Your final timeline',
'Dear {{client.name}},

this is the plan for {{wedding.date_local}}{{#venue.name}} at {{venue.name}}{{/venue.name}}. Ceremony at {{wedding.ceremony_time}}. Please read it once more in peace and tell us this week if anything changed.

Warm regards,
{{tenant.name}}
'),
(null, 'final_details_vendor', 'email', 'Final timeline of {{wedding.title}}',
'Hello,

for {{wedding.title}} on {{wedding.date_local}}{{#venue.name}} at {{venue.name}}{{/venue.name}}: ceremony at {{wedding.ceremony_time}} local time. Please confirm your arrival time by reply.

Best,
{{tenant.name}}
'),
(null, 'weather_backup', 'email', 'If it rains',
'Dear {{client.name}},

three days to go, and the ceremony is outdoors. If the forecast turns we decide together by tomorrow evening: the covered place we spoke about is ready, and we bring umbrellas that look good in photos.

Warm regards,
{{tenant.name}}
'),
(null, 'weather_vendor', 'email', 'Weather plan for {{wedding.title}}',
'Hello,

{{wedding.title}} on {{wedding.date_local}} is planned outdoors. Please tell us until when you need the decision for the covered place.

Best,
{{tenant.name}}
'),
(null, 'day_before', 'email', 'See you tomorrow',
'Dear {{client.name}},

everything is ready. Charge your phones, pack the rings, eat breakfast. See you tomorrow{{#venue.name}} at {{venue.name}}{{/venue.name}}!

Warm regards,
{{tenant.name}}
'),
(null, 'call_sheet', 'email', 'Call sheet: {{wedding.title}}',
'{{wedding.date_local}}{{#venue.name}} at {{venue.name}}{{/venue.name}}.
Ceremony: {{#wedding.ceremony_time}}{{wedding.ceremony_time}}{{/wedding.ceremony_time}}{{^wedding.ceremony_time}}time not set{{/wedding.ceremony_time}} ({{wedding.time_zone}}).

Vendors:
{{#vendors}}
- {{role}}: {{name}}{{#email}}, {{email}}{{/email}}
{{/vendors}}
{{^vendors}}
- none noted
{{/vendors}}

Gear: two bodies, batteries charged, cards empty, flashes, umbrellas.
'),
(null, 'thank_you', 'email', 'What a day',
'Dear {{client.name}},

thank you for having us. We are still smiling. A first look follows in a few days, and everything else takes the time that good work needs.

Warm regards,
{{tenant.name}}
'),
(null, 'gallery_ready', 'email', 'Your gallery is ready',
'Dear {{client.name}},

your gallery is online. Take an evening, open a bottle, and look at it together first. Afterwards share it with whomever you like.

Warm regards,
{{tenant.name}}
'),
(null, 'gallery_nudge', 'email', 'Have you seen it yet?',
'Dear {{client.name}},

your gallery has been waiting for you for a week. Is the link lost? Reply to this mail and we send it again.

Warm regards,
{{tenant.name}}
'),
(null, 'album_offer', 'email', 'An album of your day',
'Dear {{client.name}},

photos on a phone get lost; an album stays on the table. We have picked a first selection for you. Shall we design it?

Warm regards,
{{tenant.name}}
'),
(null, 'review_request', 'email', 'Would you tell others about it?',
'Dear {{client.name}},

if you liked working with us, a short review helps other couples more than any advertising. Three sentences are plenty.

Warm regards,
{{tenant.name}}
'),
(null, 'review_second', 'email', 'One last time: your review',
'Dear {{client.name}},

we ask only this once more: if you find five minutes, your review would mean a lot to us.

Warm regards,
{{tenant.name}}
'),
(null, 'vendor_gallery', 'email', 'Photos of {{wedding.title}}',
'Hello,

the photos of {{wedding.title}} are done. Tell us which you would like for your own work; please credit {{tenant.name}}.

Best,
{{tenant.name}}
'),
(null, 'anniversary', 'email', 'Happy anniversary!',
'Dear {{client.name}},

on this day you said yes. We remember it well, and wish you many more. If you would like a print of your favourite photo: choose one, it is on us.

Warm regards,
{{tenant.name}}
'),
(null, 'cancelled_ack', 'email', 'We are sorry',
'Dear {{client.name}},

we noted that your wedding is cancelled. Everything that was planned has been stopped; you will hear from us only about what is still open between us. We wish you all the best.

Warm regards,
{{tenant.name}}
'),
(null, 'cancelled_vendor', 'email', 'Cancelled: {{wedding.title}}',
'Hello,

{{wedding.title}} has been cancelled. Please release the date.

Best,
{{tenant.name}}
'),
(null, 'postponed_ack', 'email', 'Your wedding is postponed',
'Dear {{client.name}},

we noted that your wedding is postponed. All reminders are paused. As soon as you know the new date, tell us: we check at once whether we are free.

Warm regards,
{{tenant.name}}
'),
(null, 'date_changed', 'email', 'Your new date',
'Dear {{client.name}},

we noted your new date, {{wedding.date_local}}. All our reminders moved with it. Please check your other contracts: caterers and venues often need a new confirmation.

Warm regards,
{{tenant.name}}
'),
(null, 'date_changed_vendor', 'email', 'New date: {{wedding.title}}',
'Hello,

{{wedding.title}} has moved to {{wedding.date_local}}. Please confirm that you are available.

Best,
{{tenant.name}}
'),
(null, 'gallery_expiring', 'email', 'Your gallery closes in a week',
'Dear {{client.name}},

your online gallery closes in one week. Please download everything you would like to keep; we are happy to extend it if you need more time.

Warm regards,
{{tenant.name}}
'),
(null, 'payment_failed', 'email', 'Your payment did not go through',
'Dear {{client.name}},

your last payment could not be collected. This is often a limit or an expired card. Please try again, or reply to this mail.

Warm regards,
{{tenant.name}}
');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('inquiry_autoreply', 1, 'lead', 'Answer an inquiry at once',
 'Confirms an inquiry within seconds and asks the team to answer in person.',
 '{
    "schema_version": 1,
    "name": "Answer an inquiry at once",
    "template_key": "inquiry_autoreply",
    "trigger": {"type": "event", "event": "inquiry.created"},
    "conditions": {
      "or": [
        {"==": [{"var": "wedding.date"}, null]},
        {">": [{"days_until": [{"var": "wedding.date"}]}, "[[min_notice_days]]"]}]},
    "actions": [
      {"id": "reply", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "personal",
        "type": "create_task",
        "params": {"title": "Reply personally to {{client.name}}", "due": "P[[reply_within_days]]D"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "inquiry_autoreply",
        "title": "message template to send"},
      "min_notice_days": {
        "type": "integer",
        "minimum": 0,
        "maximum": 730,
        "default": 14,
        "title": "weddings sooner than this get no automatic answer"},
      "reply_within_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 1, "title": "days until the personal answer is due"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('inquiry_followup', 1, 'lead', 'Follow up on a quiet inquiry',
 'Two friendly mails when nobody has answered, then the inquiry is tagged as cold.',
 '{
    "schema_version": 1,
    "name": "Follow up on a quiet inquiry",
    "template_key": "inquiry_followup",
    "trigger": {"type": "event", "event": "inquiry.created"},
    "conditions": {"==": [{"var": "wedding.status"}, "inquiry"]},
    "actions": [
      {"id": "first", "type": "wait", "until": {"event": "client.replied", "timeout": "P[[first_days]]D"}},
      {
        "id": "quiet",
        "type": "branch",
        "if": {"and": [{"==": [{"var": "steps.first.timed_out"}, true]}, {"==": [{"var": "wedding.status"}, "inquiry"]}]},
        "then": [
          {"id": "nudge", "type": "send_email", "params": {"to": "client", "template": "[[first_message]]"}},
          {"id": "second", "type": "wait", "until": {"event": "client.replied", "timeout": "P[[second_days]]D"}},
          {
            "id": "still_quiet",
            "type": "branch",
            "if": {
              "and": [{"==": [{"var": "steps.second.timed_out"}, true]}, {"==": [{"var": "wedding.status"}, "inquiry"]}]},
            "then": [
              {"id": "last", "type": "send_email", "params": {"to": "client", "template": "[[second_message]]"}},
              {"id": "cold", "type": "add_tag", "params": {"tag": "[[tag]]"}}]}]}],
    "settings": {
      "exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]},
      "max_runs_per_wedding": 1,
      "send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "first_days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 3, "title": "days until the first mail"},
      "second_days": {
        "type": "integer",
        "minimum": 1,
        "maximum": 60,
        "default": 4,
        "title": "days from the first to the second mail"},
      "first_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "inquiry_followup_1",
        "title": "message template to send"},
      "second_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "inquiry_followup_2",
        "title": "message template to send"},
      "tag": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "default": "cold",
        "title": "tag for inquiries that stay quiet"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('consult_booked_prep', 1, 'lead', 'Prepare a consultation',
 'Confirms a booked consultation and reminds the day before and an hour before.',
 '{
    "schema_version": 1,
    "name": "Prepare a consultation",
    "template_key": "consult_booked_prep",
    "trigger": {"type": "event", "event": "appointment.scheduled"},
    "conditions": {"==": [{"var": "event.appointment_type"}, "consultation"]},
    "actions": [
      {"id": "confirm", "type": "send_email", "params": {"to": "client", "template": "[[confirm_message]]"}},
      {"id": "day_before", "type": "wait", "until": {"milestone": "consultation", "offset": "-P1D", "at": "[[at]]"}},
      {"id": "tomorrow", "type": "send_email", "params": {"to": "client", "template": "[[reminder_message]]"}},
      {"id": "hour_before", "type": "wait", "until": {"milestone": "consultation", "offset": "-PT[[hours_before]]H"}},
      {"id": "soon", "type": "send_email", "params": {"to": "client", "template": "[[soon_message]]"}}],
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "confirm_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "consult_confirmed",
        "title": "message template to send"},
      "reminder_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "consult_reminder",
        "title": "message template to send"},
      "soon_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "consult_soon",
        "title": "message template to send"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of the reminder on the day before"},
      "hours_before": {"type": "integer", "minimum": 1, "maximum": 12, "default": 1, "title": "hours before the consultation"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('proposal_followup', 1, 'lead', 'Follow up on a proposal',
 'Waits for the acceptance of a proposal; mails, asks for a call, and marks it as expired.',
 '{
    "schema_version": 1,
    "name": "Follow up on a proposal",
    "template_key": "proposal_followup",
    "trigger": {"type": "event", "event": "proposal.sent"},
    "actions": [
      {"id": "answer", "type": "wait", "until": {"event": "proposal.accepted", "timeout": "P[[mail_days]]D"}},
      {
        "id": "open",
        "type": "branch",
        "if": {"==": [{"var": "steps.answer.timed_out"}, true]},
        "then": [
          {"id": "nudge", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
          {"id": "answer2", "type": "wait", "until": {"event": "proposal.accepted", "timeout": "P[[call_days]]D"}},
          {
            "id": "open2",
            "type": "branch",
            "if": {"==": [{"var": "steps.answer2.timed_out"}, true]},
            "then": [
              {
                "id": "call",
                "type": "create_task",
                "params": {"title": "Call {{client.name}} about the proposal", "due": "P1D"}},
              {
                "id": "answer3",
                "type": "wait",
                "until": {"event": "proposal.accepted", "timeout": "P[[expire_days]]D"}},
              {
                "id": "open3",
                "type": "branch",
                "if": {"==": [{"var": "steps.answer3.timed_out"}, true]},
                "then": [
                  {
                    "id": "expire",
                    "type": "set_field",
                    "params": {"path": "wedding.attributes.proposal_status", "value": "expired"}},
                  {"id": "stage", "type": "move_stage", "params": {"stage": "[[expired_stage]]"}}]}]}]}],
    "settings": {
      "exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]},
      "send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "proposal_followup",
        "title": "message template to send"},
      "mail_days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 3, "title": "days until the mail"},
      "call_days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 4, "title": "days from the mail to the call"},
      "expire_days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 7, "title": "days from the call until it expires"},
      "expired_stage": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "default": "proposal_expired",
        "title": "stage of expired proposals"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('contract_unsigned_reminder', 1, 'booking', 'Remind of an unsigned contract',
 'Reminds twice while a contract is unsigned, then tells the team.',
 '{
    "schema_version": 1,
    "name": "Remind of an unsigned contract",
    "template_key": "contract_unsigned_reminder",
    "trigger": {"type": "event", "event": "contract.sent"},
    "conditions": {"==": [{"var": "contract.signed_at"}, null]},
    "actions": [
      {"id": "signed", "type": "wait", "until": {"event": "contract.signed", "timeout": "P[[first_days]]D"}},
      {
        "id": "unsigned",
        "type": "branch",
        "if": {"==": [{"var": "steps.signed.timed_out"}, true]},
        "then": [
          {"id": "remind", "type": "send_email", "params": {"to": "client", "template": "[[first_message]]"}},
          {"id": "signed2", "type": "wait", "until": {"event": "contract.signed", "timeout": "P[[second_days]]D"}},
          {
            "id": "unsigned2",
            "type": "branch",
            "if": {"==": [{"var": "steps.signed2.timed_out"}, true]},
            "then": [
              {"id": "remind2", "type": "send_email", "params": {"to": "client", "template": "[[second_message]]"}},
              {"id": "signed3", "type": "wait", "until": {"event": "contract.signed", "timeout": "P[[team_days]]D"}},
              {
                "id": "unsigned3",
                "type": "branch",
                "if": {"==": [{"var": "steps.signed3.timed_out"}, true]},
                "then": [{"id": "tell", "type": "notify_team", "params": {"template": "[[team_message]]"}}]}]}]}],
    "settings": {
      "exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]},
      "send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "first_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 3, "title": "days until the first reminder"},
      "second_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 3, "title": "days from the first to the second"},
      "team_days": {
        "type": "integer",
        "minimum": 1,
        "maximum": 30,
        "default": 1,
        "title": "days from the second until the team is told"},
      "first_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "contract_reminder_1",
        "title": "message template to send"},
      "second_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "contract_reminder_2",
        "title": "message template to send"},
      "team_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "contract_unsigned_team",
        "title": "message template to send"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('booking_welcome', 1, 'booking', 'Welcome after booking',
 'Contract and first payment are in: welcome mail, stage, and a task for the engagement session.',
 '{
    "schema_version": 1,
    "name": "Welcome after booking",
    "template_key": "booking_welcome",
    "trigger": {"type": "event", "event": "payment.received"},
    "conditions": {"and": [{"==": [{"var": "event.installment"}, "first"]}, {"!=": [{"var": "contract.signed_at"}, null]}]},
    "actions": [
      {"id": "welcome", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {"id": "stage", "type": "move_stage", "params": {"stage": "[[stage]]"}},
      {"id": "portal", "type": "set_field", "params": {"path": "wedding.attributes.portal_active", "value": true}},
      {
        "id": "engagement",
        "type": "branch",
        "if": {"in": ["engagement", {"var": "wedding.service_types"}]},
        "then": [
          {
            "id": "session",
            "type": "create_task",
            "params": {"title": "Offer {{client.name}} dates for the engagement session", "due": "P[[task_days]]D"}}]}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "booking_welcome",
        "title": "message template to send"},
      "stage": {"type": "string", "minLength": 1, "maxLength": 64, "default": "booked", "title": "stage of booked weddings"},
      "task_days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 7, "title": "days until the task is due"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('planning_guide', 1, 'planning', 'Send the planning guide',
 'A month after the booking, when there is still time to plan.',
 '{
    "schema_version": 1,
    "name": "Send the planning guide",
    "template_key": "planning_guide",
    "trigger": {
      "type": "milestone",
      "milestone": "booking_confirmed",
      "offset": "P[[days]]D",
      "at": "[[at]]",
      "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {">": [{"days_until": [{"var": "wedding.date"}]}, "[[min_days_left]]"]}]},
    "actions": [{"id": "guide", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "planning_guide",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 0, "maximum": 365, "default": 30, "title": "days after the booking"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"},
      "min_days_left": {
        "type": "integer",
        "minimum": 0,
        "maximum": 730,
        "default": 120,
        "title": "only when the ceremony is further away than this"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('engagement_session', 1, 'planning', 'Invite to the engagement session',
 'Half a year before the ceremony, when the package has a session and none is booked.',
 '{
    "schema_version": 1,
    "name": "Invite to the engagement session",
    "template_key": "engagement_session",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[months]]M", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {"in": ["engagement", {"var": "wedding.service_types"}]},
        {"==": [{"var": "timeline.engagement_session"}, null]}]},
    "actions": [
      {"id": "invite", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "check",
        "type": "create_task",
        "params": {"title": "Find a date for the engagement session of {{wedding.title}}", "due": "P14D"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "engagement_session",
        "title": "message template to send"},
      "months": {"type": "integer", "minimum": 1, "maximum": 18, "default": 6, "title": "months before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('vendor_intro', 1, 'planning', 'Introduce yourself to the vendors',
 'Two weeks after the booking: a short introduction to planner, venue and florist.',
 '{
    "schema_version": 1,
    "name": "Introduce yourself to the vendors",
    "template_key": "vendor_intro",
    "trigger": {
      "type": "milestone",
      "milestone": "booking_confirmed",
      "offset": "P[[days]]D",
      "at": "[[at]]",
      "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {"some": [{"var": "vendors"}, {"in": [{"var": "role"}, ["planner", "venue", "florist"]]}]}]},
    "actions": [
      {
        "id": "has_planner",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "planner"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "intro_planner", "type": "notify_vendor", "params": {"role": "planner", "template": "[[message]]"}}]},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "intro_venue", "type": "notify_vendor", "params": {"role": "venue", "template": "[[message]]"}}]},
      {
        "id": "has_florist",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "florist"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "intro_florist", "type": "notify_vendor", "params": {"role": "florist", "template": "[[message]]"}}]}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "vendor_intro",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 0, "maximum": 365, "default": 14, "title": "days after the booking"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('six_month_checkin', 1, 'planning', 'Check in half a year before',
 'A personal mail half a year before the ceremony.',
 '{
    "schema_version": 1,
    "name": "Check in half a year before",
    "template_key": "six_month_checkin",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[months]]M", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
    "actions": [{"id": "checkin", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "six_month_checkin",
        "title": "message template to send"},
      "months": {"type": "integer", "minimum": 1, "maximum": 18, "default": 6, "title": "months before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('questionnaire_90', 1, 'planning', 'Questionnaire',
 'Ninety days before: the questionnaire, a nudge after two weeks, then a call. Not for couples whose planner does it.',
 '{
    "schema_version": 1,
    "name": "Questionnaire",
    "template_key": "questionnaire_90",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {"==": [{"var": "forms.[[form]].submitted_at"}, null]},
        {"!": {"in": ["full_service", {"var": "wedding.service_types"}]}}]},
    "actions": [
      {"id": "send", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "form",
        "type": "wait",
        "until": {
          "event": "form.submitted",
          "timeout": "P[[nudge_days]]D",
          "where": {"==": [{"var": "event.form_slug"}, "[[form]]"]}}},
      {
        "id": "late",
        "type": "branch",
        "if": {"==": [{"var": "steps.form.timed_out"}, true]},
        "then": [
          {"id": "nudge", "type": "send_email", "params": {"to": "client", "template": "[[nudge_message]]"}},
          {
            "id": "call",
            "type": "create_task",
            "params": {"title": "Call {{client.name}} about the questionnaire", "due": "P7D"}}],
        "else": [{"id": "stage", "type": "move_stage", "params": {"stage": "[[stage]]"}}]}],
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "questionnaire",
        "title": "message template to send"},
      "nudge_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "questionnaire_nudge",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 7, "maximum": 365, "default": 90, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"},
      "nudge_days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 14, "title": "days until the nudge"},
      "form": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$", "default": "timeline", "title": "slug of the form"},
      "stage": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "default": "questionnaire_received",
        "title": "stage once it is answered"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('permits_coi', 1, 'planning', 'Permits and insurance certificate',
 'Sixty days before: a task for us and questions to venue and planner, where a permit or certificate is asked for.',
 '{
    "schema_version": 1,
    "name": "Permits and insurance certificate",
    "template_key": "permits_coi",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {"or": [{"==": [{"var": "venue.permit_required"}, true]}, {"==": [{"var": "venue.coi_required"}, true]}]}]},
    "actions": [
      {
        "id": "permits",
        "type": "create_task",
        "params": {"title": "Permits and certificate of insurance for {{wedding.title}}", "due": "P[[task_days]]D"}},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "ask_venue", "type": "notify_vendor", "params": {"role": "venue", "template": "[[message]]"}}]},
      {
        "id": "has_planner",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "planner"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "ask_planner", "type": "notify_vendor", "params": {"role": "planner", "template": "[[message]]"}}]}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "permits_venue",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 7, "maximum": 365, "default": 60, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"},
      "task_days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 10, "title": "days until the task is due"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('final_payment_reminder', 1, 'payment', 'Final payment',
 'A week before, on the day, and word to the team when it is overdue. Stops as soon as the balance is paid.',
 '{
    "schema_version": 1,
    "name": "Final payment",
    "template_key": "final_payment_reminder",
    "trigger": {
      "type": "milestone",
      "milestone": "final_payment_due",
      "offset": "-P[[days]]D",
      "at": "[[at]]",
      "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {
          "and": [
            {">": [{"var": "invoice.balance_due"}, 0]},
            {"or": [{"==": [{"var": "invoice.autopay"}, null]}, {"!=": [{"var": "invoice.autopay"}, true]}]}]}]},
    "actions": [
      {"id": "soon", "type": "send_email", "params": {"to": "client", "template": "[[soon_message]]"}},
      {"id": "due", "type": "wait", "until": {"milestone": "final_payment_due", "offset": "P0D", "at": "[[at]]"}},
      {
        "id": "open",
        "type": "branch",
        "if": {
          "and": [
            {">": [{"var": "invoice.balance_due"}, 0]},
            {"or": [{"==": [{"var": "invoice.autopay"}, null]}, {"!=": [{"var": "invoice.autopay"}, true]}]}]},
        "then": [
          {"id": "today", "type": "send_email", "params": {"to": "client", "template": "[[today_message]]"}},
          {
            "id": "paid",
            "type": "wait",
            "until": {
              "event": "payment.received",
              "timeout": "P[[grace_days]]D",
              "where": {"==": [{"var": "event.installment"}, "final"]}}},
          {
            "id": "overdue",
            "type": "branch",
            "if": {
              "and": [
                {"==": [{"var": "steps.paid.timed_out"}, true]},
                {
                  "and": [
                    {">": [{"var": "invoice.balance_due"}, 0]},
                    {"or": [{"==": [{"var": "invoice.autopay"}, null]}, {"!=": [{"var": "invoice.autopay"}, true]}]}]}]},
            "then": [{"id": "owner", "type": "notify_team", "params": {"template": "[[team_message]]"}}]}]}],
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "soon_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "final_payment_soon",
        "title": "message template to send"},
      "today_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "final_payment_today",
        "title": "message template to send"},
      "team_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "final_payment_team",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 7, "title": "days before the payment is due"},
      "grace_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 3, "title": "days after which it is overdue"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('final_payment_overdue_escalate', 1, 'payment', 'Overdue final payment',
 'A week after the due date: a mail that a person approves, and a call.',
 '{
    "schema_version": 1,
    "name": "Overdue final payment",
    "template_key": "final_payment_overdue_escalate",
    "trigger": {
      "type": "milestone",
      "milestone": "final_payment_due",
      "offset": "P[[days]]D",
      "at": "[[at]]",
      "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {
          "and": [
            {">": [{"var": "invoice.balance_due"}, 0]},
            {"or": [{"==": [{"var": "invoice.autopay"}, null]}, {"!=": [{"var": "invoice.autopay"}, true]}]}]}]},
    "actions": [
      {
        "id": "call",
        "type": "create_task",
        "params": {"title": "Call {{client.name}} about the overdue balance of {{invoice.balance_due}}", "due": "P1D"}},
      {
        "id": "mail",
        "type": "send_email",
        "params": {"to": "client", "template": "[[message]]"},
        "requires_approval": "[[approval]]"}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "final_payment_overdue",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 7, "title": "days after the payment was due"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"},
      "approval": {"type": "boolean", "default": false, "title": "a person approves the mail before it goes out"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('timeline_call_30', 1, 'final', 'Timeline call',
 'A month before: invitation to the timeline call, and a task to draft it.',
 '{
    "schema_version": 1,
    "name": "Timeline call",
    "template_key": "timeline_call_30",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
    "actions": [
      {"id": "invite", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "draft",
        "type": "create_task",
        "params": {"title": "Draft the timeline of {{wedding.title}}", "due": "P[[task_days]]D"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "timeline_call",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 3, "maximum": 180, "default": 30, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"},
      "task_days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 7, "title": "days until the draft is due"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('guest_count_confirm', 1, 'final', 'Confirm the guest count',
 'Three weeks before: asks for the number if it is unknown, then tells venue, caterer and rentals.',
 '{
    "schema_version": 1,
    "name": "Confirm the guest count",
    "template_key": "guest_count_confirm",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
    "actions": [
      {
        "id": "unknown",
        "type": "branch",
        "if": {"==": [{"var": "wedding.guest_count"}, null]},
        "then": [
          {"id": "ask", "type": "send_email", "params": {"to": "client", "template": "[[ask_message]]"}},
          {"id": "answer", "type": "wait", "until": {"event": "guest_count.changed", "timeout": "P[[wait_days]]D"}}]},
      {
        "id": "known",
        "type": "branch",
        "if": {"!=": [{"var": "wedding.guest_count"}, null]},
        "then": [
          {
            "id": "has_venue",
            "type": "branch",
            "if": {
              "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
            "then": [
              {
                "id": "tell_venue",
                "type": "notify_vendor",
                "params": {"role": "venue", "template": "[[vendor_message]]"}}]},
          {
            "id": "has_catering",
            "type": "branch",
            "if": {
              "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "catering"]}, {"!=": [{"var": "email"}, null]}]}]},
            "then": [
              {
                "id": "tell_catering",
                "type": "notify_vendor",
                "params": {"role": "catering", "template": "[[vendor_message]]"}}]},
          {
            "id": "has_rentals",
            "type": "branch",
            "if": {
              "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "rentals"]}, {"!=": [{"var": "email"}, null]}]}]},
            "then": [
              {
                "id": "tell_rentals",
                "type": "notify_vendor",
                "params": {"role": "rentals", "template": "[[vendor_message]]"}}]}],
        "else": [
          {
            "id": "phone",
            "type": "create_task",
            "params": {"title": "Ask {{client.name}} for the guest count", "due": "P1D"}}]}],
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "ask_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "guest_count_ask",
        "title": "message template to send"},
      "vendor_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "guest_count_vendor",
        "title": "message template for the vendors"},
      "days": {"type": "integer", "minimum": 5, "maximum": 120, "default": 21, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"},
      "wait_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 5, "title": "days to wait for the answer"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('large_wedding_second_shooter', 1, 'final', 'Second photographer for large weddings',
 'Sixty days before a large wedding without a second photographer: a task to find one.',
 '{
    "schema_version": 1,
    "name": "Second photographer for large weddings",
    "template_key": "large_wedding_second_shooter",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {">=": [{"var": "wedding.guest_count"}, "[[guests]]"]},
        {"==": [{"var": "wedding.attributes.second_shooter"}, null]}]},
    "actions": [
      {
        "id": "assign",
        "type": "create_task",
        "params": {
          "title": "Assign a second photographer to {{wedding.title}} ({{wedding.guest_count}} guests)",
          "due": "P[[task_days]]D"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "guests": {"type": "integer", "minimum": 1, "maximum": 5000, "default": 150, "title": "from this number of guests"},
      "days": {"type": "integer", "minimum": 7, "maximum": 365, "default": 60, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"},
      "task_days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 14, "title": "days until the task is due"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('final_details_14', 1, 'final', 'Final details to everybody',
 'Two weeks before, once the timeline is approved: to the couple and to every vendor of the day.',
 '{
    "schema_version": 1,
    "name": "Final details to everybody",
    "template_key": "final_details_14",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
        {"==": [{"var": "wedding.attributes.timeline_approved"}, true]},
        {"!=": [{"var": "wedding.ceremony_time"}, null]}]},
    "actions": [
      {"id": "couple", "type": "send_email", "params": {"to": "client", "template": "[[couple_message]]"}},
      {
        "id": "has_planner",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "planner"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "tell_planner",
            "type": "notify_vendor",
            "params": {"role": "planner", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "tell_venue", "type": "notify_vendor", "params": {"role": "venue", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_catering",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "catering"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "tell_catering",
            "type": "notify_vendor",
            "params": {"role": "catering", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_florist",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "florist"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "tell_florist",
            "type": "notify_vendor",
            "params": {"role": "florist", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_music",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "music"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "tell_music", "type": "notify_vendor", "params": {"role": "music", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_hair_makeup",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "hair_makeup"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "tell_hair_makeup",
            "type": "notify_vendor",
            "params": {"role": "hair_makeup", "template": "[[vendor_message]]"}}]}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "couple_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "final_details_couple",
        "title": "message template to send"},
      "vendor_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "final_details_vendor",
        "title": "message template for the vendors"},
      "days": {"type": "integer", "minimum": 2, "maximum": 90, "default": 14, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('weather_backup_3', 1, 'final', 'Weather plan for outdoor weddings',
 'Three days before an outdoor ceremony: a task, a mail to the couple, questions to venue and rentals.',
 '{
    "schema_version": 1,
    "name": "Weather plan for outdoor weddings",
    "template_key": "weather_backup_3",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {"and": [{"in": [{"var": "wedding.status"}, ["booked", "planning"]]}, {"==": [{"var": "venue.indoor"}, false]}]},
    "actions": [
      {"id": "plan", "type": "create_task", "params": {"title": "Weather plan for {{wedding.title}}", "due": "P1D"}},
      {"id": "couple", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "ask_venue", "type": "notify_vendor", "params": {"role": "venue", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_rentals",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "rentals"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "ask_rentals",
            "type": "notify_vendor",
            "params": {"role": "rentals", "template": "[[vendor_message]]"}}]}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "weather_backup",
        "title": "message template to send"},
      "vendor_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "weather_vendor",
        "title": "message template for the vendors"},
      "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 3, "title": "days before the ceremony"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('day_before', 1, 'day', 'The day before',
 'A last mail to the couple, the call sheet to the team, a task for the gear.',
 '{
    "schema_version": 1,
    "name": "The day before",
    "template_key": "day_before",
    "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P1D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {"in": [{"var": "wedding.status"}, ["booked", "planning"]]},
    "actions": [
      {"id": "couple", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {"id": "crew", "type": "notify_team", "params": {"template": "[[team_message]]"}},
      {"id": "gear", "type": "create_task", "params": {"title": "Gear check for {{wedding.title}}", "due": "P0D"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "day_before",
        "title": "message template to send"},
      "team_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "call_sheet",
        "title": "message template for the team"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('thank_you_sneak_peek', 1, 'delivery', 'Thank you and sneak peek',
 'Two days after the wedding: a thank-you, and a task for the first look.',
 '{
    "schema_version": 1,
    "name": "Thank you and sneak peek",
    "template_key": "thank_you_sneak_peek",
    "trigger": {"type": "milestone", "milestone": "wedding_end", "offset": "P[[days]]D", "at": "[[at]]", "time_zone": "wedding"},
    "conditions": {"in": [{"var": "wedding.status"}, ["booked", "planning", "completed"]]},
    "actions": [
      {"id": "thanks", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "peek",
        "type": "create_task",
        "params": {"title": "Sneak peek for {{client.name}}", "due": "P[[task_days]]D"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "thank_you",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 0, "maximum": 30, "default": 2, "title": "days after the wedding"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"},
      "task_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 3, "title": "days until the task is due"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('gallery_delivery', 1, 'delivery', 'Gallery delivered',
 'Announces the gallery, nudges when nobody looked, offers an album later.',
 '{
    "schema_version": 1,
    "name": "Gallery delivered",
    "template_key": "gallery_delivery",
    "trigger": {"type": "event", "event": "gallery.delivered"},
    "actions": [
      {"id": "ready", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {"id": "seen", "type": "wait", "until": {"event": "gallery.viewed", "timeout": "P[[nudge_days]]D"}},
      {
        "id": "unseen",
        "type": "branch",
        "if": {"==": [{"var": "steps.seen.timed_out"}, true]},
        "then": [{"id": "nudge", "type": "send_email", "params": {"to": "client", "template": "[[nudge_message]]"}}]},
      {"id": "later", "type": "wait", "for": "P[[album_days]]D"},
      {"id": "album", "type": "send_email", "params": {"to": "client", "template": "[[album_message]]"}}],
    "settings": {
      "exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]},
      "max_runs_per_wedding": 1,
      "send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "gallery_ready",
        "title": "message template to send"},
      "nudge_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "gallery_nudge",
        "title": "message template to send"},
      "album_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "album_offer",
        "title": "message template to send"},
      "nudge_days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 7, "title": "days until the nudge"},
      "album_days": {"type": "integer", "minimum": 1, "maximum": 120, "default": 14, "title": "days until the album offer"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('review_request', 1, 'after', 'Ask for a review',
 'A week after the gallery, when everything is paid and nobody complained; the vendors get photos.',
 '{
    "schema_version": 1,
    "name": "Ask for a review",
    "template_key": "review_request",
    "trigger": {"type": "event", "event": "gallery.delivered"},
    "conditions": {"and": [{"<=": [{"var": "invoice.balance_due"}, 0]}, {"!": {"in": ["complaint", {"var": "project.tags"}]}}]},
    "actions": [
      {"id": "settle", "type": "wait", "for": "P[[days]]D"},
      {"id": "ask", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "share_venue",
            "type": "notify_vendor",
            "params": {"role": "venue", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_florist",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "florist"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "share_florist",
            "type": "notify_vendor",
            "params": {"role": "florist", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_planner",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "planner"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "share_planner",
            "type": "notify_vendor",
            "params": {"role": "planner", "template": "[[vendor_message]]"}}]},
      {"id": "review", "type": "wait", "until": {"event": "review.received", "timeout": "P[[second_days]]D"}},
      {
        "id": "no_review",
        "type": "branch",
        "if": {
          "and": [{"==": [{"var": "steps.review.timed_out"}, true]}, {"!": {"in": ["complaint", {"var": "project.tags"}]}}]},
        "then": [{"id": "again", "type": "send_email", "params": {"to": "client", "template": "[[second_message]]"}}]}],
    "settings": {
      "exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]},
      "max_runs_per_wedding": 1,
      "send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "review_request",
        "title": "message template to send"},
      "second_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "review_second",
        "title": "message template to send"},
      "vendor_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "vendor_gallery",
        "title": "message template for the vendors"},
      "days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 7, "title": "days after the gallery"},
      "second_days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 14, "title": "days until the second mail"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('anniversary', 1, 'after', 'Anniversaries',
 'A year after the wedding and in the years that follow, with the couple''s consent to be written to.',
 '{
    "schema_version": 1,
    "name": "Anniversaries",
    "template_key": "anniversary",
    "trigger": {
      "type": "milestone",
      "milestone": "anniversary",
      "offset": "P0D",
      "at": "[[at]]",
      "time_zone": "wedding",
      "yearly": "[[years]]"},
    "conditions": {
      "and": [
        {"in": [{"var": "wedding.status"}, ["booked", "planning", "completed"]]},
        {"==": [{"var": "client_consent"}, true]}]},
    "actions": [
      {"id": "mail", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "prints",
        "type": "create_task",
        "params": {"title": "Offer {{client.name}} anniversary prints", "due": "P7D"}}]}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "anniversary",
        "title": "message template to send"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "09:30",
        "title": "local time of day"},
      "years": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1, "title": "anniversaries to write to"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('cancelled_ack', 1, 'exception', 'A wedding is cancelled',
 'Acknowledges a cancellation to the couple, and tells planner, venue and caterer.',
 '{
    "schema_version": 1,
    "name": "A wedding is cancelled",
    "template_key": "cancelled_ack",
    "trigger": {"type": "event", "event": "wedding.status_changed"},
    "conditions": {"changed_to": ["wedding.status", "cancelled"]},
    "actions": [
      {"id": "couple", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "money",
        "type": "create_task",
        "params": {"title": "Settle what is open with {{client.name}}", "due": "P3D"}},
      {
        "id": "has_planner",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "planner"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "tell_planner",
            "type": "notify_vendor",
            "params": {"role": "planner", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "tell_venue", "type": "notify_vendor", "params": {"role": "venue", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_catering",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "catering"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "tell_catering",
            "type": "notify_vendor",
            "params": {"role": "catering", "template": "[[vendor_message]]"}}]}]}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "cancelled_ack",
        "title": "message template to send"},
      "vendor_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "cancelled_vendor",
        "title": "message template for the vendors"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('postponed_ack', 1, 'exception', 'A wedding is postponed',
 'Acknowledges a postponement and asks for the new date.',
 '{
    "schema_version": 1,
    "name": "A wedding is postponed",
    "template_key": "postponed_ack",
    "trigger": {"type": "event", "event": "wedding.status_changed"},
    "conditions": {"changed_to": ["wedding.status", "postponed"]},
    "actions": [
      {"id": "couple", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "date",
        "type": "create_task",
        "params": {"title": "Ask {{client.name}} for the new date", "due": "P14D"}}],
    "settings": {"send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "postponed_ack",
        "title": "message template to send"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('date_changed', 1, 'exception', 'The date has changed',
 'Confirms a new date to the couple and asks the vendors for theirs.',
 '{
    "schema_version": 1,
    "name": "The date has changed",
    "template_key": "date_changed",
    "trigger": {"type": "event", "event": "wedding.date_changed"},
    "conditions": {"!=": [{"var": "wedding.date"}, null]},
    "actions": [
      {"id": "couple", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {
        "id": "check",
        "type": "create_task",
        "params": {"title": "Re-check the vendors of {{wedding.title}}", "due": "P3D"}},
      {
        "id": "has_planner",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "planner"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "ask_planner",
            "type": "notify_vendor",
            "params": {"role": "planner", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_venue",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "venue"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "ask_venue", "type": "notify_vendor", "params": {"role": "venue", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_catering",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "catering"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "ask_catering",
            "type": "notify_vendor",
            "params": {"role": "catering", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_florist",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "florist"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [
          {
            "id": "ask_florist",
            "type": "notify_vendor",
            "params": {"role": "florist", "template": "[[vendor_message]]"}}]},
      {
        "id": "has_music",
        "type": "branch",
        "if": {
          "some": [{"var": "vendors"}, {"and": [{"==": [{"var": "role"}, "music"]}, {"!=": [{"var": "email"}, null]}]}]},
        "then": [{"id": "ask_music", "type": "notify_vendor", "params": {"role": "music", "template": "[[vendor_message]]"}}]}],
    "settings": {"send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "date_changed",
        "title": "message template to send"},
      "vendor_message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "date_changed_vendor",
        "title": "message template for the vendors"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('gallery_expiring', 1, 'delivery', 'A gallery is about to close',
 'A week before an online gallery expires.',
 '{
    "schema_version": 1,
    "name": "A gallery is about to close",
    "template_key": "gallery_expiring",
    "trigger": {
      "type": "milestone",
      "milestone": "gallery_expires",
      "offset": "-P[[days]]D",
      "at": "[[at]]",
      "time_zone": "wedding"},
    "conditions": {"in": [{"var": "wedding.status"}, ["booked", "planning", "completed"]]},
    "actions": [{"id": "mail", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}}],
    "settings": {"max_runs_per_wedding": 1}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "gallery_expiring",
        "title": "message template to send"},
      "days": {"type": "integer", "minimum": 1, "maximum": 60, "default": 7, "title": "days before the gallery closes"},
      "at": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "10:00",
        "title": "local time of day"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('payment_failed', 1, 'payment', 'A payment failed',
 'A payment processor reported a failure: mail to the couple, call after two days.',
 '{
    "schema_version": 1,
    "name": "A payment failed",
    "template_key": "payment_failed",
    "trigger": {"type": "event", "event": "payment.failed"},
    "actions": [
      {"id": "mail", "type": "send_email", "params": {"to": "client", "template": "[[message]]"}},
      {"id": "paid", "type": "wait", "until": {"event": "payment.received", "timeout": "P[[wait_days]]D"}},
      {
        "id": "unpaid",
        "type": "branch",
        "if": {"==": [{"var": "steps.paid.timed_out"}, true]},
        "then": [
          {
            "id": "call",
            "type": "create_task",
            "params": {"title": "Call {{client.name}} about the failed payment", "due": "P1D"}}]}],
    "settings": {
      "exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]},
      "send_window": {"from": "[[send_from]]", "to": "[[send_until]]"}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "payment_failed",
        "title": "message template to send"},
      "wait_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 2, "title": "days to wait for a payment"},
      "send_from": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "08:00",
        "title": "mails go out from this local time"},
      "send_until": {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
        "default": "20:00",
        "title": "and until this one, else the next morning"}}}');

-- ---- host tables --------------------------------------------------------------------------------------------------------------------------------
-- The host application's own tables projected into ours: three statement triggers with transition tables, so that a bulk statement costs one call.
-- A mapping is compiled once, at attach, into the statements below; the trigger hands them the listed columns of the changed rows as JSON.
-- Whatever goes wrong in a projection is caught and noted with its row: the host's write stands.
alter table automation_priv.switches add column host_tables boolean not null default true; -- off: no host table is looked at
create table automation_priv.sources (
    source_id uuid primary key,
    host_table regclass not null unique,
    host_name text not null, -- schema.table at the attach: part of derived ids
    mapping jsonb not null,
    target text, -- null: events only
    raw_sql text not null,    -- the listed columns of row t as jsonb
    key_columns text[] not null,
    key_types text[] not null,
    eval_sql text not null,   -- $1: raw rows → [{"i", "key", "tenant", "wedding", "ident", "doc", "payloads"}]
    upsert_sql text,          -- $1: docs
    delete_sql text,          -- $1: docs
    ident text[] not null,    -- columns of the target that identify its row
    state text not null default 'on' check (state in ('on', 'off')),
    reason text,
    backfilled_to jsonb,      -- key of the last row that the backfill has done
    swept_to jsonb,           -- then: key of the last row that is gone from the table, and that it has done
    backfilled boolean not null default false, -- false: what was written while nobody looked may be missing
    attached_at timestamptz not null default clock_timestamp()
);
-- Appended by failing projections only: no row is updated that two of the host's transactions might wait for. No foreign key: it would lock the source's
-- row, which a backfill holds while it waits for the host's rows.
create table automation_priv.source_errors (
    id bigint generated always as identity primary key,
    source_id uuid not null,
    at timestamptz not null default clock_timestamp(),
    key jsonb, -- of the row; null: of a whole statement, or of its rows that were not looked at any more
    sqlstate text not null,
    message text not null,
    old_row jsonb, -- without key: a list of rows
    new_row jsonb
);
create index source_errors_at on automation_priv.source_errors (source_id, at);
-- What came of which row: how a backfill finds rows that were deleted while nobody looked, after a detach and another attach too. One where a delete takes
-- something away.
create table automation_priv.source_rows (
    host_name text not null,
    target text not null,
    key jsonb not null,  -- values of the key's columns
    ident text not null, -- the tenant's, then those of sources.ident
    primary key (key, host_name, target) -- neither index serves the other's question, whatever the planner takes the table's size for
);
create index source_rows_ident on automation_priv.source_rows (ident, host_name, target);

-- A source that is on again has not seen what was written meanwhile.
create function automation_priv.source_returns() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_table_name = 'switches' then
        update automation_priv.sources x set backfilled = false, backfilled_to = null, swept_to = null where x.state = 'on';
        return null;
    end if;
    new.backfilled := false;
    new.backfilled_to := null;
    new.swept_to := null;
    return new;
end $$;
create trigger source_returns after update of host_tables on automation_priv.switches for each row when (new.host_tables and not old.host_tables)
    execute function automation_priv.source_returns();
create trigger source_returns before update of state on automation_priv.sources for each row when (new.state = 'on' and old.state = 'off')
    execute function automation_priv.source_returns();

-- So many errors within ten minutes switch a source off: those of the projection itself. A row's own values (class 22 and 23) are one tenant's, and the
-- others' rows go on.
create function automation_priv.source_error_limit() returns integer language sql immutable parallel safe set search_path = '' as $$ select 100 $$;

create function automation_priv.jsonb_merge(a jsonb, b jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
    if jsonb_typeof(a) is distinct from 'object' or jsonb_typeof(b) is distinct from 'object' then
        return b;
    end if;
    return a || (select coalesce(jsonb_object_agg(e.key, automation_priv.jsonb_merge(a -> e.key, e.value)), '{}') from jsonb_each(b) e);
end $$;

create aggregate automation_priv.jsonb_merge_all(jsonb) (sfunc = automation_priv.jsonb_merge, stype = jsonb, initcond = '{}');

-- A key of the host's as our id: itself where it is a UUID, else derived from table and key.
create function automation_priv.host_id(p_host text, p_key text, p_is_uuid boolean) returns uuid
language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return case when p_is_uuid then p_key::uuid else automation_priv.derive('host', p_host, p_key) end;
end $$;

-- What may be written, by target: column, type, required.
create function automation_priv.source_targets() returns table (target text, col text, type text, required boolean, ident boolean)
language sql immutable parallel safe set search_path = '' as $$
    values ('weddings', 'wedding_id', 'uuid', false, true), ('weddings', 'title', 'text', true, false), ('weddings', 'status', 'text', false, false),
        ('weddings', 'ceremony_date', 'date', false, false), ('weddings', 'ceremony_time', 'time', false, false), ('weddings', 'time_zone', 'text', true, false),
        ('weddings', 'inquired_on', 'date', false, false), ('weddings', 'booked_on', 'date', false, false), ('weddings', 'guest_count', 'integer', false, false),
        ('weddings', 'service_types', 'text[]', false, false), ('weddings', 'package', 'text', false, false), ('weddings', 'budget_cents', 'bigint', false, false),
        ('weddings', 'stage', 'text', false, false), ('weddings', 'tags', 'text[]', false, false), ('weddings', 'client_name', 'text', false, false),
        ('weddings', 'client_email', 'text', false, false), ('weddings', 'client_phone', 'text', false, false), ('weddings', 'venue', 'jsonb', false, false),
        ('weddings', 'attributes', 'jsonb', false, false),
        ('attributes', 'wedding_id', 'uuid', false, true), ('attributes', 'attributes', 'jsonb', true, false),
        ('contacts', 'contact_id', 'uuid', false, true), ('contacts', 'wedding_id', 'uuid', false, false), ('contacts', 'role', 'text', true, false),
        ('contacts', 'name', 'text', true, false), ('contacts', 'email', 'text', false, false), ('contacts', 'phone', 'text', false, false),
        ('vendors', 'vendor_id', 'uuid', false, true), ('vendors', 'name', 'text', true, false), ('vendors', 'kind', 'text', true, false),
        ('vendors', 'email', 'text', false, false), ('vendors', 'phone', 'text', false, false),
        ('wedding_vendors', 'wedding_id', 'uuid', false, true), ('wedding_vendors', 'vendor_id', 'uuid', false, true),
        ('wedding_vendors', 'role', 'text', true, true), ('wedding_vendors', 'relationship', 'text', false, false),
        ('wedding_vendors', 'confirmed', 'boolean', false, false), ('wedding_vendors', 'arrival', 'timestamptz', false, false),
        ('milestones', 'wedding_id', 'uuid', false, true), ('milestones', 'name', 'text', true, true), ('milestones', 'local_date', 'date', true, false),
        ('milestones', 'local_time', 'time', false, false),
        ('members', 'user_id', 'uuid', false, true), ('members', 'role', 'text', false, false),
        ('stages', 'name', 'text', true, true), ('stages', 'title', 'text', false, false), ('stages', 'position', 'integer', false, false),
        ('forms', 'name', 'text', true, true), ('forms', 'title', 'text', false, false)
$$;

-- The type of a column of the host's, of a domain the type below it, or an error that names those there are.
create function automation_priv.source_column(p_table regclass, p_column text, p_where text) returns text
language plpgsql stable set search_path = '' as $$
declare v text;
begin
    with recursive d as (
        select a.atttypid as type from pg_catalog.pg_attribute a where a.attrelid = p_table and a.attname = p_column and a.attnum > 0 and not a.attisdropped
        union all select y.typbasetype from d join pg_catalog.pg_type y on y.oid = d.type and y.typtype = 'd')
    select pg_catalog.format_type(d.type, -1) into v from d join pg_catalog.pg_type y on y.oid = d.type and y.typtype <> 'd';
    if not found then
        raise exception 'mapping %: % has no column %', p_where, p_table, coalesce(quote_ident(p_column), 'of no name') using errcode = '22023',
            hint = 'Columns: ' || (select string_agg(a.attname, ', ' order by a.attnum) from pg_catalog.pg_attribute a
                                    where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped);
    end if;
    return v;
end $$;

create function automation_priv.source_keys(p_object jsonb, p_where text, variadic p_known text[]) returns void
language plpgsql immutable set search_path = '' as $$
declare v text;
begin
    if jsonb_typeof(p_object) is distinct from 'object' then
        raise exception 'mapping %: found %, expected an object', p_where, coalesce(left(p_object::text, 40), 'nothing') using errcode = '22023';
    end if;
    select k into v from jsonb_object_keys(p_object) k where not k = any (p_known) limit 1;
    if found then
        raise exception 'mapping %: unknown member %; allowed: %', p_where, quote_ident(v), array_to_string(p_known, ', ') using errcode = '22023';
    end if;
end $$;

-- A value of a mapping is of one of these JSON types, or absent.
create function automation_priv.source_is(p_value jsonb, p_where text, variadic p_types text[]) returns void
language plpgsql immutable set search_path = '' as $$
begin
    if not jsonb_typeof(p_value) = any (p_types) then
        raise exception 'mapping %: found %, expected %', p_where, left(p_value::text, 40), (select string_agg(case x when 'boolean' then 'true or false'
                when 'array' then 'a list' when 'object' then 'an object' else 'a ' || x end, ' or ' order by i) from unnest(p_types) with ordinality y(x, i))
            using errcode = '22023';
    end if;
end $$;

-- A constant that a mapping writes: of the column's type, and one that the column's own checks take.
create function automation_priv.source_constant(p_target text, p_column text, p_type text, p_value jsonb, p_where text) returns void
language plpgsql stable set search_path = '' as $$
declare
    v_table regclass := to_regclass('automation.' || p_target);
    v_sql text := case p_type when 'text[]' then format('array(select jsonb_array_elements_text(%L))', p_value) else format('%L::%s', p_value #>> '{}', p_type) end;
    v_check text;
    v_good boolean := jsonb_typeof(p_value) in ('array', 'null') or p_type <> 'text[]';
begin
    begin
        if v_good then
            execute 'select ' || v_sql;
        end if;
        v_good := v_good and (p_type = 'text[]' or jsonb_typeof(p_value) not in ('array', 'object'));
    exception when data_exception then
        v_good := false;
    end;
    if not v_good or p_value = 'null' and coalesce((select a.attnotnull from pg_catalog.pg_attribute a where a.attrelid = v_table and a.attname = p_column), true) then
        raise exception 'mapping %: found %, expected %', p_where, left(p_value::text, 40), case p_type when 'uuid' then 'a UUID' when 'date' then 'a date' when 'time' then 'a time'
            when 'timestamptz' then 'an instant' when 'boolean' then 'true or false' when 'text[]' then 'a list of strings' when 'text' then 'a string' else 'a whole number' end
            using errcode = '22023';
    end if;
    for v_check in select pg_catalog.pg_get_expr(k.conbin, k.conrelid) from pg_catalog.pg_constraint k
            join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and k.conkey = array[a.attnum] where k.conrelid = v_table and k.contype = 'c' and a.attname = p_column loop
        execute format('select (%s) is distinct from false from (select %s as %I) x', v_check, v_sql, p_column) into v_good;
        if not v_good then
            raise exception 'mapping %: found %, expected what % of % takes: %', p_where, left(p_value::text, 40), p_column, p_target, v_check using errcode = '22023';
        end if;
    end loop;
    if p_column = 'time_zone' then
        perform automation_priv.source_zone(p_value, p_where);
    end if;
end $$;

create function automation_priv.source_zone(p_value jsonb, p_where text) returns void
language plpgsql stable set search_path = '' as $$
begin
    if not exists (select from pg_catalog.pg_timezone_names z where z.name = p_value #>> '{}') then
        raise exception 'mapping %: found %, expected a time zone such as Europe/Lisbon', p_where, left(p_value::text, 40) using errcode = '22023';
    end if;
end $$;

-- One field of a mapping as an SQL expression over the host's row t: "column", or {"column" | "value", "path", "times", "map", "default", "zone"}.
-- Adds the column to p_columns. p_type null: as jsonb, whatever it is.
-- p_target, p_into: the column of ours that it is for; of neither, what is no column.
create function automation_priv.source_field(p_table regclass, p_spec jsonb, p_type text, p_where text, p_target text, p_into text, inout p_columns text[], out sql text)
language plpgsql stable set search_path = '' as $$
declare
    s jsonb := case jsonb_typeof(p_spec) when 'string' then jsonb_build_object('column', p_spec) else p_spec end;
    v_from text;
    v_family text;
    v_good boolean;
    v_constant record;
begin
    perform automation_priv.source_is(s, p_where, 'string', 'object');
    perform automation_priv.source_keys(s, p_where, 'column', 'value', 'path', 'times', 'map', 'default', 'zone');
    if (s ? 'column') = (s ? 'value') then
        raise exception 'mapping %: expected one of "column" and "value"', p_where using errcode = '22023';
    elsif s ? 'value' and (select count(*) from jsonb_object_keys(s)) > 1 then
        raise exception 'mapping %: expected nothing beside "value"', p_where using errcode = '22023';
    end if;
    perform automation_priv.source_is(s -> 'column', p_where || '.column', 'string'), automation_priv.source_is(s -> 'path', p_where || '.path', 'string'),
        automation_priv.source_is(s -> 'times', p_where || '.times', 'number'), automation_priv.source_is(s -> 'zone', p_where || '.zone', 'string'),
        automation_priv.source_is(s -> 'map', p_where || '.map', 'object'), automation_priv.source_is(s -> 'default', p_where || '.default', 'string', 'number', 'boolean'),
        automation_priv.source_is(x.value, p_where || '.map.' || x.key, 'string', 'number', 'boolean')
    from (select null::text as key, null::jsonb as value union all select e.key, e.value from jsonb_each(case jsonb_typeof(s -> 'map') when 'object' then s -> 'map' end) e) x;
    if p_type <> 'jsonb' then
        for v_constant in select '.value' as at, s -> 'value' as value where s ? 'value' union all select '.default', s -> 'default' where s ? 'default' and not s ? 'times'
                union all select '.map.' || e.key, e.value from jsonb_each(s -> 'map') e where not s ? 'times' loop
            perform automation_priv.source_constant(p_target, p_into, p_type, v_constant.value, p_where || v_constant.at);
        end loop;
    end if;
    if s ? 'value' then
        sql := case when p_type is null then format('%L::jsonb', s -> 'value') when p_type = 'jsonb' then format('%L::jsonb', s -> 'value')
            when p_type = 'text[]' then format('array(select jsonb_array_elements_text(%L))', s -> 'value') else format('%L::%s', s ->> 'value', p_type) end;
        return;
    end if;
    v_from := automation_priv.source_column(p_table, s ->> 'column', p_where);
    if not s ->> 'column' = any (p_columns) then
        p_columns := p_columns || (s ->> 'column');
    end if;
    sql := format('t.%I', s ->> 'column');
    if s ? 'path' then
        if v_from not in ('json', 'jsonb') then
            raise exception 'mapping %: "path" looks into json or jsonb, but column % is of type %', p_where, s ->> 'column', v_from using errcode = '22023';
        end if;
        sql := format('(%s::jsonb #%s %L::text[])', sql, case when p_type is null or p_type in ('jsonb', 'text[]') then '>' else '>>' end,
            string_to_array(s ->> 'path', '.'));
        v_from := case when p_type is null or p_type in ('jsonb', 'text[]') then 'jsonb' else 'text' end;
    end if;
    if s ? 'map' then
        sql := format('coalesce(%L::jsonb ->> (%s)::text, %L)', s -> 'map', sql, s ->> 'default');
        v_from := 'text';
    elsif s ? 'default' then
        sql := format('coalesce((%s)::text, %L)', sql, s ->> 'default');
        v_from := 'text';
    end if;
    if s ? 'times' then
        sql := format('((%s)::numeric * %s)', sql, (s ->> 'times')::numeric);
        v_from := 'numeric';
    end if;
    if s ? 'zone' then
        if v_from not in ('timestamp without time zone', 'timestamp with time zone') then
            raise exception 'mapping %: "zone" is of timestamps, but column % is of type %', p_where, s ->> 'column', v_from using errcode = '22023';
        end if;
        perform automation_priv.source_zone(s -> 'zone', p_where || '.zone');
        sql := format('(%s at time zone %L)', sql, s ->> 'zone');
        v_from := case v_from when 'timestamp without time zone' then 'timestamp with time zone' else 'timestamp without time zone' end;
    end if;
    v_family := case when v_from in ('smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision', 'money') then 'number'
        when v_from in ('text', 'character varying', 'bpchar', 'name', 'uuid', 'public.citext', 'citext') then 'text'
        when v_from in ('json', 'jsonb') then 'json' when v_from like '%[]' then 'list'
        when v_from like 'timestamp%' then 'instant' when v_from like 'time %' then 'time' else v_from end;
    v_good := case p_type
        when 'text' then v_family not in ('json', 'list', 'bytea')
        when 'integer' then v_family in ('number', 'text') when 'bigint' then v_family in ('number', 'text')
        when 'boolean' then v_family in ('boolean', 'text')
        when 'date' then v_family in ('date', 'instant', 'text')
        when 'time' then v_family in ('time', 'text') or v_from = 'timestamp without time zone'
        when 'timestamptz' then v_from = 'timestamp with time zone' or v_family = 'text'
        when 'text[]' then v_family in ('list', 'json', 'text')
        when 'uuid' then v_family in ('text', 'uuid')
        else true end;
    if not v_good then
        raise exception 'mapping %: column % is of type %, expected %', p_where, s ->> 'column', v_from, case p_type
                when 'date' then 'date, timestamp or text' when 'timestamptz' then 'timestamp with time zone (or one without and "zone")'
                when 'integer' then 'a number or text' when 'bigint' then 'a number or text' when 'text[]' then 'a list, jsonb or text'
                when 'time' then 'time, timestamp without time zone or text' when 'boolean' then 'boolean or text' when 'uuid' then 'uuid or text' else 'text, a number or a date' end
            using errcode = '22023';
    end if;
    sql := case
        when p_type is null or p_type = 'jsonb' then format('to_jsonb(%s)', sql)
        when p_type in ('integer', 'bigint') and v_from = 'money' then format('round((%s)::numeric)::%s', sql, p_type)
        when p_type in ('integer', 'bigint') then format('round((%s)::numeric)::%s', sql, p_type)
        when p_type = 'text[]' and v_family = 'json' then
            format('case jsonb_typeof((%1$s)::jsonb) when ''array'' then array(select jsonb_array_elements_text((%1$s)::jsonb)) else ''{}'' end', sql)
        when p_type = 'text[]' and v_family = 'text' then format('coalesce(regexp_split_to_array(nullif(btrim(%s), ''''), ''\s*,\s*''), ''{}'')', sql)
        when p_type = 'text[]' then format('coalesce((%s)::text[], ''{}'')', sql)
        else format('(%s)::%s', sql, p_type) end;
end $$;

-- A table that a mapping names.
create function automation_priv.source_table(p_name jsonb, p_where text) returns regclass
language plpgsql stable set search_path = '' as $$
declare v regclass;
begin
    if p_name is null then
        raise exception 'mapping %: found nothing, expected a table such as public.studios', p_where using errcode = '22023';
    end if;
    perform automation_priv.source_is(p_name, p_where, 'string');
    begin
        v := to_regclass(p_name #>> '{}');
    exception when others then null; -- no name at all
    end;
    if not exists (select from pg_catalog.pg_class c where c.oid = v and c.relkind in ('r', 'p')) then
        raise exception 'mapping %: there is no table %', p_where, p_name #>> '{}' using errcode = '22023', hint = 'Its name has its schema, such as public.studios.';
    end if;
    return v;
end $$;

-- Projections run as automation_owner, whoever writes the host's row: the schema's names must be its to use, and no policy may hide the table's rows.
create function automation_priv.source_usage(p_table regclass) returns void
language plpgsql volatile set search_path = '' as $$
declare v_schema text := (select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = p_table);
begin
    if not pg_catalog.has_schema_privilege('automation_owner', v_schema, 'usage') then
        execute format('grant usage on schema %I to automation_owner', v_schema);
    end if;
end $$;
create function automation_priv.source_readable(p_table regclass, p_where text) returns void
language plpgsql stable set search_path = '' as $$
begin
    if exists (select from pg_catalog.pg_class c join pg_catalog.pg_roles r on r.rolname = 'automation_owner' and not r.rolsuper and not r.rolbypassrls
            where c.oid = p_table and c.relrowsecurity and (c.relforcerowsecurity or not pg_catalog.pg_has_role(r.oid, c.relowner, 'usage'))
            and (select not coalesce(bool_or(p.polpermissive and pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true'), false) or bool_or(not p.polpermissive)
                from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polcmd in ('r', '*')
                and exists (select from unnest(p.polroles) x where x = 0 or pg_catalog.pg_has_role(r.oid, x, 'usage')))) then
        raise exception 'mapping %: row-level security of % hides rows from automation_owner, which projects; expected a policy that shows it all of them', p_where, p_table
            using errcode = '22023', hint = format('create policy automation_owner_reads on %s for select to automation_owner using (true)', p_table);
    end if;
end $$;

-- The tenant of a row: {"value": UUID}, {"column": of UUIDs}, or {"column", "lookup": {"table", "key", "value"}}.
create function automation_priv.source_tenant(p_table regclass, p_spec jsonb, inout p_columns text[], out sql text)
language plpgsql volatile set search_path = '' as $$
declare
    l jsonb := p_spec -> 'lookup';
    v_table regclass;
    v_type text;
begin
    perform automation_priv.source_keys(p_spec, 'tenant', 'value', 'column', 'lookup');
    if p_spec ? 'value' and l is not null then
        raise exception 'mapping tenant: "lookup" needs "column", not "value"' using errcode = '22023';
    end if;
    select f.p_columns, f.sql into p_columns, sql from automation_priv.source_field(p_table, p_spec - 'lookup', case when l is null then 'uuid' else 'text' end, 'tenant', null, null, p_columns) f;
    if p_spec ? 'value' and not exists (select from automation.tenants t where t.tenant_id = (p_spec ->> 'value')::uuid) then
        raise exception 'mapping tenant.value: there is no tenant %', p_spec ->> 'value' using errcode = '22023';
    elsif l is null then
        return;
    end if;
    perform automation_priv.source_keys(l, 'tenant.lookup', 'table', 'key', 'value'), automation_priv.source_is(l -> 'key', 'tenant.lookup.key', 'string'),
        automation_priv.source_is(l -> 'value', 'tenant.lookup.value', 'string');
    v_table := automation_priv.source_table(l -> 'table', 'tenant.lookup.table');
    v_type := automation_priv.source_column(v_table, l ->> 'value', 'tenant.lookup.value');
    if v_type not in ('uuid', 'text', 'character varying', 'bpchar') then
        raise exception 'mapping tenant.lookup.value: column % of % is of type %, expected uuid or text', l ->> 'value', v_table, v_type using errcode = '22023';
    end if;
    perform automation_priv.source_column(v_table, l ->> 'key', 'tenant.lookup.key'), automation_priv.source_readable(v_table, 'tenant.lookup.table');
    if not exists (select from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] where i.indrelid = v_table
            and i.indisunique and i.indisvalid and i.indnkeyatts = 1 and i.indpred is null and a.attname = l ->> 'key') then
        raise exception 'mapping tenant.lookup.key: column % of % has no unique index of its own: a row could have two tenants', l ->> 'key', v_table using errcode = '22023';
    end if;
    perform automation_priv.source_usage(v_table);
    -- The projection runs as automation_owner, whoever writes the host's row.
    execute format('grant select (%I, %I) on %s to automation_owner', l ->> 'key', l ->> 'value', v_table);
    sql := format('(select l.%I::text::uuid from %s l where l.%I = t.%I)', l ->> 'value', v_table, l ->> 'key', p_spec ->> 'column');
end $$;

-- A row of another host table that this row points to: "column", or {"column", "of": "schema.table"}.
create function automation_priv.source_reference(p_table regclass, p_spec jsonb, p_where text, inout p_columns text[], out sql text)
language plpgsql stable set search_path = '' as $$
declare
    s jsonb := case jsonb_typeof(p_spec) when 'string' then jsonb_build_object('column', p_spec) else p_spec end;
    v_type text;
    v_of regclass;
begin
    perform automation_priv.source_is(s, p_where, 'string', 'object');
    perform automation_priv.source_keys(s, p_where, 'column', 'of'), automation_priv.source_is(s -> 'column', p_where || '.column', 'string');
    v_type := automation_priv.source_column(p_table, s ->> 'column', p_where);
    v_of := case when s ? 'of' then automation_priv.source_table(s -> 'of', p_where || '.of') end;
    if v_type <> 'uuid' and v_of is null then
        raise exception 'mapping %: column % is of type %, not uuid: "of" must name the table whose key it is', p_where, s ->> 'column', v_type using errcode = '22023';
    end if;
    if not s ->> 'column' = any (p_columns) then
        p_columns := p_columns || (s ->> 'column');
    end if;
    sql := format('automation_priv.host_id(%L, t.%I::text, %L)', automation_priv.host_name(v_of), s ->> 'column', v_type = 'uuid');
end $$;

create function automation_priv.host_name(p_table regclass) returns text
language sql stable set search_path = '' as $$
    select n.nspname || '.' || c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = p_table
$$;

-- A name in a path: as it is written, or {column}, the host's text as a name of ours: Final Payment → final_payment. p_absent: of no row.
create function automation_priv.host_word(p_text text, p_absent boolean) returns text
language plpgsql immutable set search_path = '' as $$
declare v text := btrim(regexp_replace(lower(p_text), '[^a-z0-9]+', '_', 'g'), '_');
begin
    if p_absent then
        return '';
    elsif v is null or v !~ '^[a-z][a-z0-9_]{0,62}$' then
        raise exception 'found %, expected a text that makes a name: a letter, then letters and digits', quote_nullable(left(p_text, 80)) using errcode = '22023';
    end if;
    return v;
end $$;

-- {"invoice.balance_due": SQL, "invoice.paid": SQL} as one nested object: what is null is null, so that a host's null takes a value back.
create function automation_priv.source_nest(p_fields jsonb) returns text
language plpgsql immutable set search_path = '' as $$
begin
    return (select 'jsonb_build_object(' || string_agg(format('%s, %s', case when x.head ~ '^\{.*\}$' then format('automation_priv.host_word(t.%I::text, r.raw = ''{}'')', btrim(x.head, '{}'))
        else quote_literal(x.head) end, case when x.leaf is not null then x.leaf else automation_priv.source_nest(x.rest) end), ', ' order by x.head) || ')'
        from (select split_part(f.key, '.', 1) as head, max(f.value) filter (where strpos(f.key, '.') = 0) as leaf,
                     jsonb_object_agg(substr(f.key, strpos(f.key, '.') + 1), f.value) filter (where strpos(f.key, '.') > 0) as rest
              from jsonb_each_text(p_fields) f group by 1) x);
end $$;

-- Compiles "columns": the SQL of the target's document, without tenant and identity.
create function automation_priv.source_document(p_table regclass, p_target text, p_fields jsonb, inout p_columns text[], out sql text, out fields text[])
language plpgsql stable set search_path = '' as $$
declare
    f record;
    c record;
    v_head text;
    v_part text;
    v_nested jsonb := '{}';
    v_parts text[] := '{}';
    v_sql text;
begin
    fields := '{}';
    for f in select e.key, e.value from jsonb_each(p_fields) e order by 1 loop
        if f.key ~ '(^|\.)(\.|$)' then
            raise exception 'mapping columns: found %, expected names joined by dots', to_jsonb(f.key) using errcode = '22023';
        elsif exists (select from jsonb_object_keys(p_fields) k where starts_with(k, f.key || '.')) then
            raise exception 'mapping columns.%: also an object, by columns.%', f.key, (select k from jsonb_object_keys(p_fields) k where starts_with(k, f.key || '.') limit 1)
                using errcode = '22023';
        end if;
        v_head := case when p_target = 'attributes' then 'attributes' else split_part(f.key, '.', 1) end;
        select * into c from automation_priv.source_targets() t where t.target = p_target and t.col = v_head and t.type <> 'uuid';
        if not found or (c.type = 'jsonb') <> (p_target = 'attributes' or strpos(f.key, '.') > 0) then
            raise exception 'mapping columns.%: % has no such column', f.key, p_target using errcode = '22023',
                hint = 'Columns: ' || (select string_agg(t.col || case t.type when 'jsonb' then '.<name>' else '' end, ', ' order by t.col)
                    from automation_priv.source_targets() t where t.target = p_target and t.type <> 'uuid');
        end if;
        select x.p_columns, x.sql into p_columns, v_sql from automation_priv.source_field(p_table, f.value, nullif(c.type, 'jsonb'), 'columns.' || f.key, p_target, c.col, p_columns) x;
        for v_part in select x from regexp_split_to_table(f.key, '\.') x where x ~ '[{}]' loop
            if v_part !~ '^\{[^{}]+\}$' then
                raise exception 'mapping columns.%: found %, expected a name or a column in braces', f.key, v_part using errcode = '22023';
            end if;
            perform automation_priv.source_column(p_table, btrim(v_part, '{}'), 'columns.' || f.key);
            p_columns := p_columns || case when not btrim(v_part, '{}') = any (p_columns) then array[btrim(v_part, '{}')] else '{}' end;
        end loop;
        if c.type = 'jsonb' then
            v_nested := automation_priv.jsonb_merge(v_nested, jsonb_build_object(v_head,
                jsonb_build_object(case when p_target = 'attributes' then f.key else substr(f.key, length(v_head) + 2) end, v_sql)));
        else
            v_parts := v_parts || format('%L, %s', f.key, v_sql);
        end if;
        if not v_head = any (fields) then
            fields := fields || v_head;
        end if;
    end loop;
    select v_parts || coalesce(array_agg(format('%L, %s', n.key, automation_priv.source_nest(n.value))), '{}') into v_parts from jsonb_each(v_nested) n;
    select string_agg(quote_ident(t.col), ', ') into v_sql from automation_priv.source_targets() t
    where t.target = p_target and t.required and not t.col = any (fields);
    if v_sql is not null then
        raise exception 'mapping columns: % needs %', p_target, v_sql using errcode = '22023';
    end if;
    sql := 'jsonb_build_object(' || array_to_string(v_parts, ', ') || ')';
end $$;

-- "where": rows that do not satisfy it are as if they were not there. {"column": …, "null": true|false} or {"column": …, "in": [texts]}.
create function automation_priv.source_where(p_table regclass, p_spec jsonb, inout p_columns text[], out sql text)
language plpgsql stable set search_path = '' as $$
declare v_field text;
begin
    sql := 'true';
    if p_spec is null then return; end if;
    perform automation_priv.source_keys(p_spec, 'where', 'column', 'null', 'in');
    if (p_spec ? 'null') = (p_spec ? 'in') then
        raise exception 'mapping where: expected one of "null" and "in"' using errcode = '22023';
    end if;
    perform automation_priv.source_is(p_spec -> 'column', 'where.column', 'string'), automation_priv.source_is(p_spec -> 'null', 'where.null', 'boolean'),
        automation_priv.source_is(p_spec -> 'in', 'where.in', 'array');
    perform automation_priv.source_is(x.value, 'where.in.' || (x.i - 1), 'string') from jsonb_array_elements(p_spec -> 'in') with ordinality x(value, i);
    if p_spec -> 'in' = '[]' then
        raise exception 'mapping where.in: found [], expected at least one string' using errcode = '22023';
    end if;
    perform automation_priv.source_column(p_table, p_spec ->> 'column', 'where.column');
    if not p_spec ->> 'column' = any (p_columns) then
        p_columns := p_columns || (p_spec ->> 'column');
    end if;
    v_field := format('t.%I', p_spec ->> 'column');
    sql := case when p_spec ? 'in' then format('%L::jsonb ? (%s)::text', p_spec -> 'in', v_field)
        when (p_spec -> 'null')::boolean then v_field || ' is null' else v_field || ' is not null' end;
end $$;

-- "events": [{"on": "insert|update|delete", "type", "column", "from", "to", "payload": {name: field}}].
create function automation_priv.source_events(p_table regclass, p_events jsonb, inout p_columns text[], out sql text)
language plpgsql stable set search_path = '' as $$
declare
    e record;
    p record;
    v_at text;
    v_parts text[];
    v_all text[] := '{}';
    v_sql text;
begin
    for e in select x.value as spec, x.i - 1 as i from jsonb_array_elements(coalesce(p_events, '[]')) with ordinality x(value, i) loop
        v_at := 'events.' || e.i;
        perform automation_priv.source_keys(e.spec, v_at, 'on', 'type', 'column', 'from', 'to', 'payload'), automation_priv.source_is(e.spec -> 'on', v_at || '.on', 'string'),
            automation_priv.source_is(e.spec -> 'type', v_at || '.type', 'string'), automation_priv.source_is(e.spec -> 'column', v_at || '.column', 'string'),
            automation_priv.source_is(e.spec -> 'payload', v_at || '.payload', 'object');
        if e.spec ->> 'on' is null or e.spec ->> 'on' not in ('insert', 'update', 'delete') then
            raise exception 'mapping %.on: found %, expected "insert", "update" or "delete"', v_at, coalesce(e.spec ->> 'on', 'nothing') using errcode = '22023';
        elsif e.spec ->> 'type' is null or e.spec ->> 'type' !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' or length(e.spec ->> 'type') > 64 then
            raise exception 'mapping %.type: found %, expected lower-case words joined by dots, such as payment.received', v_at, coalesce(e.spec ->> 'type', 'nothing')
                using errcode = '22023';
        elsif (e.spec ? 'from' or e.spec ? 'to') and not e.spec ? 'column' then
            raise exception 'mapping %: "from" and "to" need "column"', v_at using errcode = '22023';
        elsif (e.spec ->> 'on' = 'insert' and e.spec ? 'from') or (e.spec ->> 'on' = 'delete' and e.spec ? 'to') then
            raise exception 'mapping %: % has no %', v_at, case e.spec ->> 'on' when 'insert' then 'an insert' else 'a delete' end,
                case e.spec ->> 'on' when 'insert' then '"from"' else '"to"' end using errcode = '22023';
        end if;
        if e.spec ? 'column' then
            perform automation_priv.source_column(p_table, e.spec ->> 'column', v_at || '.column');
            if not e.spec ->> 'column' = any (p_columns) then
                p_columns := p_columns || (e.spec ->> 'column');
            end if;
        end if;
        v_parts := '{}';
        for p in select x.key, x.value from jsonb_each(coalesce(e.spec -> 'payload', '{}')) x order by 1 loop
            select x.p_columns, x.sql into p_columns, v_sql from automation_priv.source_field(p_table, p.value, null, v_at || '.payload.' || p.key, null, null, p_columns) x;
            v_parts := v_parts || format('%L, %s', p.key, v_sql);
        end loop;
        v_all := v_all || ('jsonb_build_object(' || array_to_string(v_parts, ', ') || ')');
    end loop;
    sql := 'jsonb_build_array(' || array_to_string(v_all, ', ') || ')';
end $$;

-- The statements of a mapping. Everything wrong with it is an error here, with its place.
create function automation_priv.source_compile(p_table regclass, p_mapping jsonb, inout s automation_priv.sources)
language plpgsql volatile set search_path = '' as $$
declare
    v_columns text[];
    v_fields text[] := '{}';
    v_doc text := '''{}''::jsonb';
    v_tenant text;
    v_wedding text := 'null';
    v_vendor text;
    v_user text;
    v_where text;
    v_payloads text;
    v_key text;
    v_id text;
    v_ident text := '';
    v_set text;
begin
    perform automation_priv.source_keys(p_mapping, 'itself', 'into', 'key', 'tenant', 'wedding', 'vendor', 'user', 'columns', 'where', 'events', 'on_delete'),
        automation_priv.source_is(p_mapping -> 'into', 'into', 'string'), automation_priv.source_is(p_mapping -> 'key', 'key', 'string', 'array'),
        automation_priv.source_is(p_mapping -> 'columns', 'columns', 'object'), automation_priv.source_is(p_mapping -> 'events', 'events', 'array'),
        automation_priv.source_is(p_mapping -> 'on_delete', 'on_delete', 'string');
    perform automation_priv.source_is(x.value, 'key.' || (x.i - 1), 'string')
    from jsonb_array_elements(case jsonb_typeof(p_mapping -> 'key') when 'array' then p_mapping -> 'key' end) with ordinality x(value, i);
    if p_mapping -> 'key' = '[]' or (select count(*) > count(distinct x) from jsonb_array_elements(case jsonb_typeof(p_mapping -> 'key') when 'array' then p_mapping -> 'key' end) x) then
        raise exception 'mapping key: found %, expected columns, each once', p_mapping -> 'key' using errcode = '22023';
    end if;
    s.target := p_mapping ->> 'into';
    if s.target is not null and not exists (select from automation_priv.source_targets() t where t.target = s.target) then
        raise exception 'mapping into: found %, expected one of %', s.target, (select string_agg(distinct t.target, ', ') from automation_priv.source_targets() t)
            using errcode = '22023';
    elsif s.target is null and (p_mapping ? 'columns' or p_mapping ? 'on_delete' or coalesce(p_mapping -> 'events', '[]') = '[]') then
        raise exception 'mapping into: missing; without it there must be "events", no "columns" and no "on_delete"' using errcode = '22023';
    elsif p_mapping ? 'user' and s.target is distinct from 'members' then
        raise exception 'mapping user: only members have one' using errcode = '22023';
    elsif p_mapping ->> 'on_delete' = 'delete' and s.target = 'attributes' then
        raise exception 'mapping on_delete: found delete, expected "keep": attributes of a wedding stay when a row is gone' using errcode = '22023';
    elsif p_mapping ? 'vendor' and s.target is distinct from 'wedding_vendors' then
        raise exception 'mapping vendor: only wedding_vendors have one' using errcode = '22023';
    elsif coalesce(p_mapping ->> 'on_delete', 'keep') not in ('delete', 'keep', 'archive') or (p_mapping ->> 'on_delete' = 'archive' and s.target <> 'weddings') then
        raise exception 'mapping on_delete: found %, expected "delete" or "keep", or for weddings "archive"', p_mapping ->> 'on_delete' using errcode = '22023';
    end if;
    s.host_table := p_table;
    s.host_name := automation_priv.host_name(p_table);
    s.mapping := p_mapping;
    s.key_columns := case jsonb_typeof(p_mapping -> 'key') when 'string' then array[p_mapping ->> 'key']
        when 'array' then array(select jsonb_array_elements_text(p_mapping -> 'key'))
        else (select array_agg(a.attname::text order by k.i) from pg_catalog.pg_index x cross join lateral unnest(x.indkey) with ordinality k(n, i)
              join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.n where x.indrelid = p_table and x.indisprimary) end;
    if s.key_columns is null then
        raise exception 'mapping key: % has no primary key: name the columns that identify a row', p_table using errcode = '22023';
    end if;
    select array_agg(automation_priv.source_column(p_table, k, 'key') order by i) into s.key_types from unnest(s.key_columns) with ordinality x(k, i);
    v_columns := s.key_columns;
    v_key := case when cardinality(s.key_columns) = 1 then format('t.%I::text', s.key_columns[1])
        else (select 'jsonb_build_array(' || string_agg(format('t.%I', k), ', ' order by i) || ')::text' from unnest(s.key_columns) with ordinality x(k, i)) end;
    v_id := format('automation_priv.host_id(%L, %s, %L)', s.host_name, v_key, s.key_types = array['uuid']);

    select x.p_columns, x.sql into v_columns, v_tenant from automation_priv.source_tenant(p_table, coalesce(p_mapping -> 'tenant', '{}'), v_columns) x;
    select x.p_columns, x.sql into v_columns, v_where from automation_priv.source_where(p_table, p_mapping -> 'where', v_columns) x;
    if s.target = 'weddings' then
        if p_mapping ? 'wedding' then
            raise exception 'mapping wedding: a row of weddings is the wedding itself' using errcode = '22023';
        end if;
        v_wedding := v_id;
    elsif p_mapping ? 'wedding' then
        select x.p_columns, x.sql into v_columns, v_wedding from automation_priv.source_reference(p_table, p_mapping -> 'wedding', 'wedding', v_columns) x;
    elsif s.target in ('contacts', 'attributes', 'milestones', 'wedding_vendors') then
        raise exception 'mapping wedding: missing; % belong to one', s.target using errcode = '22023';
    end if;
    if s.target = 'wedding_vendors' then
        if not p_mapping ? 'vendor' then
            raise exception 'mapping vendor: missing; wedding_vendors belong to one' using errcode = '22023';
        end if;
        select x.p_columns, x.sql into v_columns, v_vendor from automation_priv.source_reference(p_table, p_mapping -> 'vendor', 'vendor', v_columns) x;
    end if;
    if s.target = 'members' then
        if not p_mapping ? 'user' and s.key_types <> array['uuid'] then
            raise exception 'mapping user: missing, and the key is no UUID: name the column that has the "sub" of the users'' tokens' using errcode = '22023';
        end if;
        select x.p_columns, x.sql into v_columns, v_user
        from automation_priv.source_field(p_table, coalesce(p_mapping -> 'user', to_jsonb(s.key_columns[1])), 'uuid', 'user', 'members', 'user_id', v_columns) x;
    end if;
    if s.target is not null then
        select x.p_columns, x.sql, x.fields into v_columns, v_doc, v_fields
        from automation_priv.source_document(p_table, s.target, coalesce(p_mapping -> 'columns', '{}'), v_columns) x;
        v_ident := case s.target when 'vendors' then format('''vendor_id'', %s', v_id) when 'contacts' then format('''contact_id'', %s, ''wedding_id'', %s', v_id, v_wedding)
            when 'wedding_vendors' then format('''wedding_id'', %s, ''vendor_id'', %s', v_wedding, v_vendor) when 'members' then format('''user_id'', %s', v_user)
            when 'stages' then '' when 'forms' then '' else format('''wedding_id'', %s', v_wedding) end;
        if s.target = 'contacts' then
            v_fields := v_fields || 'wedding_id'::text;
        end if;
    end if;
    select x.p_columns, x.sql into v_columns, v_payloads from automation_priv.source_events(p_table, p_mapping -> 'events', v_columns) x;

    select array_agg(t.col) into s.ident from automation_priv.source_targets() t where t.target = s.target and t.ident;
    s.ident := coalesce(s.ident, '{}');
    s.raw_sql := (select 'jsonb_build_object(' || string_agg(format('%L, t.%I', c, c), ', ') || ')' from unnest(v_columns) c);
    s.eval_sql := format('select jsonb_agg(jsonb_build_object(''i'', r.i, ''key'', %s, ''tenant'', d.doc -> ''tenant_id'', ''wedding'', %s, ''ident'', %s, '
        || '''doc'', d.doc, ''payloads'', %s) order by r.i) from jsonb_array_elements($1) with ordinality r(raw, i) '
        || 'cross join lateral jsonb_to_record(r.raw) as t(%s) '
        || 'cross join lateral (select jsonb_build_object(%s) || %s || jsonb_build_object(''tenant_id'', %s) as doc offset 0) d where %s',
        v_key, case when v_ident like '%''wedding_id''%' then 'd.doc -> ''wedding_id''' else v_wedding end, (select 'jsonb_build_array(' || string_agg(format('d.doc -> %L', k), ', ') || ')::text' from unnest('tenant_id'::text || s.ident) k),
        v_payloads, (select string_agg(format('%I %s', c, automation_priv.source_column(p_table, c, 'itself')), ', ') from unnest(v_columns) c), v_ident, v_doc, v_tenant, v_where);
    if s.target is null then
        return;
    end if;
    v_set := (select string_agg(case when f in ('venue', 'attributes') then format('%1$I = automation_priv.jsonb_merge(x.%1$I, excluded.%1$I)', f)
        else format('%1$I = excluded.%1$I', f) end, ', ') from unnest(v_fields) f where not f = any (s.ident));
    if s.target = 'attributes' then
        s.upsert_sql := 'update automation.weddings x set attributes = automation_priv.jsonb_merge(x.attributes, d.attributes) from ('
            'select r.tenant_id, r.wedding_id, automation_priv.jsonb_merge_all(r.attributes order by r.i) as attributes '
            'from rows from (jsonb_to_recordset($1) as (tenant_id uuid, wedding_id uuid, attributes jsonb)) with ordinality as r(tenant_id, wedding_id, attributes, i) group by 1, 2) d where x.tenant_id = d.tenant_id and x.wedding_id = d.wedding_id '
            'and automation_priv.jsonb_merge(x.attributes, d.attributes) <> x.attributes';
        return;
    end if;
    s.upsert_sql := (select format('insert into automation.%1$I as x (tenant_id, %2$s) select d.tenant_id, %3$s from jsonb_populate_recordset(null::automation.%1$I, $1) d '
            || 'order by d.tenant_id, %3$s on conflict (tenant_id, %4$s) %5$s', s.target, string_agg(quote_ident(c.col), ', '), string_agg(format('d.%I', c.col), ', '),
            (select string_agg(quote_ident(k), ', ') from unnest(s.ident) k),
            case when v_set is null then 'do nothing' else format('do update set %s where (%s) is distinct from (%s)', v_set,
                (select string_agg(format('x.%I', f), ', ') from unnest(v_fields) f where not f = any (s.ident)),
                (select string_agg(case when f in ('venue', 'attributes') then format('automation_priv.jsonb_merge(x.%1$I, excluded.%1$I)', f)
                    else format('excluded.%I', f) end, ', ') from unnest(v_fields) f where not f = any (s.ident))) end)
        from (select unnest(s.ident || array(select f from unnest(v_fields) f where not f = any (s.ident))) as col) c);
    s.delete_sql := case coalesce(p_mapping ->> 'on_delete', case s.target when 'weddings' then 'archive' else 'delete' end)
        when 'archive' then 'update automation.weddings x set status = ''archived'' from jsonb_populate_recordset(null::automation.weddings, $1) d '
            'where x.tenant_id = d.tenant_id and x.wedding_id = d.wedding_id and x.status <> ''archived'''
        when 'delete' then format('delete from automation.%1$I x using jsonb_populate_recordset(null::automation.%1$I, $1) d where x.tenant_id = d.tenant_id and %2$s',
            s.target, (select string_agg(format('x.%1$I = d.%1$I', k), ' and ') from unnest(s.ident) k)) end;
end $$;

-- The key of a row of the host's: source_rows.key, source_errors.key.
create function automation_priv.source_key(p_columns text[], p_row jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = '' as $$
begin
    return (select jsonb_agg(p_row -> k order by i) from unnest(p_columns) with ordinality x(k, i));
end $$;

-- Notes what comes of rows and returns what came of them before and comes of no row any more, as documents that name it.
create function automation_priv.source_remember(s automation_priv.sources, p_changes jsonb, p_new jsonb, p_events boolean) returns jsonb
language plpgsql security definer set search_path = '' set enable_seqscan = off set enable_nestloop = off as $$ -- plans made while little was there serve much
declare
    v_keys jsonb[];
    v_idents text[];
    v_locked boolean[]; -- a row that is new locks what is noted of an earlier one with its key: whoever is sweeping that is waited for
    v_were text[];
    v_are text[];
begin
    select array_agg(automation_priv.source_key(s.key_columns, coalesce(nullif(x.value -> 'new', 'null'), x.value -> 'old')) order by x.i),
           array_agg(p_new -> x.i::text ->> 'ident' order by x.i), array_agg(p_events and jsonb_typeof(x.value -> 'old') is distinct from 'object' order by x.i)
    into v_keys, v_idents, v_locked from jsonb_array_elements(p_changes) with ordinality x(value, i);
    -- Keys as arrays: always an index condition.
    with d as (
        delete from automation_priv.source_rows r where r.host_name = s.host_name and r.target = s.target and r.key = any (v_keys)
            and not exists (select from unnest(v_keys, v_idents) c(key, ident) where c.key = r.key and c.ident = r.ident) returning r.ident)
    select array_agg(distinct d.ident) into v_were from d;
    insert into automation_priv.source_rows as r (host_name, target, key, ident)
    select distinct on (c.key) s.host_name, s.target, c.key, c.ident
    from unnest(v_keys, v_idents, v_locked) c(key, ident, locked)
    left join (select y.key, y.ident from automation_priv.source_rows y where y.host_name = s.host_name and y.target = s.target and y.key = any (v_keys) offset 0) y
        on y.key = c.key and y.ident = c.ident
    where c.ident is not null and (c.locked or y.key is null)
    order by c.key
    on conflict (key, host_name, target) do update set ident = excluded.ident;
    if v_were is null then
        return null;
    end if;
    v_are := array(select y.ident from automation_priv.source_rows y where y.host_name = s.host_name and y.target = s.target and y.ident = any (v_were));
    return (select jsonb_agg((select jsonb_object_agg(k, w.ident::jsonb -> (n - 1)::integer) from unnest('tenant_id'::text || s.ident) with ordinality x(k, n)))
        from unnest(v_were) w(ident) where not w.ident = any (v_are));
end $$;

-- Publishes what the mapping's events say of one change; only where rules are active, and not beyond the loop guard.
create function automation_priv.source_publish(s automation_priv.sources, p_change jsonb, p_old jsonb, p_new jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
    e record;
    v_op text := case when p_old is null then 'insert' when p_new is null then 'delete' else 'update' end;
    v_row jsonb := coalesce(p_new, p_old);
    v_was jsonb;
    v_is jsonb;
begin
    for e in select x.value as spec, x.i - 1 as i from jsonb_array_elements(s.mapping -> 'events') with ordinality x(value, i) where x.value ->> 'on' = v_op loop
        if e.spec ? 'column' then
            v_was := p_change -> 'old' -> (e.spec ->> 'column');
            v_is := p_change -> 'new' -> (e.spec ->> 'column');
            continue when (v_op = 'update' and v_was = v_is) or (e.spec ? 'from' and v_was is distinct from e.spec -> 'from')
                or (e.spec ? 'to' and v_is is distinct from e.spec -> 'to');
        end if;
        continue when not exists (select from automation.rules r where r.tenant_id = (v_row ->> 'tenant')::uuid and r.status = 'active');
        perform automation.publish_event((v_row ->> 'tenant')::uuid, e.spec ->> 'type', (v_row ->> 'wedding')::uuid,
            jsonb_strip_nulls(v_row -> 'payloads' -> e.i::integer) || jsonb_build_object('source', s.host_name, 'key', v_row ->> 'key'));
    end loop;
end $$;

-- Projects changes [{"old": raw or null, "new": raw or null}]: what is gone is deleted, what is there is written where it differs, then events.
create function automation_priv.source_project(s automation_priv.sources, p_changes jsonb, p_events boolean) returns void
language plpgsql security definer set search_path = '' as $$
declare
    v_old jsonb;
    v_new jsonb;
    v_docs jsonb;
    v_gone jsonb;
    c record;
begin
    -- What a row was, only its events ask.
    if p_events and s.mapping ? 'events' and exists (select from jsonb_array_elements(p_changes) x where jsonb_typeof(x -> 'old') = 'object') then
        begin
            execute s.eval_sql into v_old using (select jsonb_agg(coalesce(nullif(x -> 'old', 'null'), '{}')) from jsonb_array_elements(p_changes) x);
        exception when others then
            -- A bad row that was mended is projected.
            if jsonb_array_length(p_changes) > 1 or jsonb_typeof(p_changes #> '{0,new}') is distinct from 'object' then raise; end if;
        end;
    end if;
    execute s.eval_sql into v_new using (select jsonb_agg(coalesce(nullif(x -> 'new', 'null'), '{}')) from jsonb_array_elements(p_changes) x);
    -- Absent rows were evaluated as rows of nulls.
    select jsonb_object_agg(x ->> 'i', x) into v_old from jsonb_array_elements(v_old) x where jsonb_typeof(p_changes -> ((x ->> 'i')::integer - 1) -> 'old') = 'object';
    select jsonb_object_agg(x ->> 'i', x) into v_new from jsonb_array_elements(v_new) x where jsonb_typeof(p_changes -> ((x ->> 'i')::integer - 1) -> 'new') = 'object';
    if exists (select from jsonb_each(v_new) x where x.value ->> 'tenant' is null) then
        raise exception 'row %: no tenant', (select x.value ->> 'key' from jsonb_each(v_new) x where x.value ->> 'tenant' is null limit 1) using errcode = '23502';
    end if;
    if s.target is not null then
        select jsonb_agg(x.value -> 'doc' order by (x.value ->> 'i')::integer) into v_docs from jsonb_each(v_new) x;
        if s.delete_sql is not null then
            v_gone := automation_priv.source_remember(s, p_changes, v_new, p_events);
        end if;
        if v_gone is not null then
            execute s.delete_sql using v_gone;
        end if;
        if v_docs is not null then
            execute s.upsert_sql using v_docs;
        end if;
    end if;
    if not p_events or s.mapping -> 'events' is null then
        return;
    end if;
    if coalesce(nullif(current_setting('automation.hops', true), '')::smallint, 0) >= 8 then
        perform automation_priv.source_fail(s, 'U0002', 'no events are published: the change was caused by a chain of 8 events', p_changes -> 0);
        return;
    end if;
    for c in select x.value as change, x.i from jsonb_array_elements(p_changes) with ordinality x(value, i) order by x.i loop
        if v_old ? c.i::text or v_new ? c.i::text then
            perform automation_priv.source_publish(s, c.change, v_old -> c.i::text, v_new -> c.i::text);
        end if;
    end loop;
end $$;

create function automation_priv.source_fail(s automation_priv.sources, p_state text, p_message text, p_change jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare v_row jsonb := coalesce(nullif(p_change -> 'new', 'null'), nullif(p_change -> 'old', 'null'));
begin
    insert into automation_priv.source_errors (source_id, key, sqlstate, message, old_row, new_row)
    values (s.source_id, case when v_row is not null then automation_priv.source_key(s.key_columns, v_row) end, p_state, p_message,
            nullif(p_change -> 'old', 'null'), nullif(p_change -> 'new', 'null'));
    if left(p_state, 2) in ('22', '23') then return; end if;
    if (select count(*) from (select from automation_priv.source_errors e where e.source_id = s.source_id and e.at > clock_timestamp() - interval '10 minutes'
            and left(e.sqlstate, 2) not in ('22', '23') limit automation_priv.source_error_limit()) x) >= automation_priv.source_error_limit() then
        update automation_priv.sources x set state = 'off', reason = 'too many errors: ' || left(p_message, 200)
        where x.source_id in (select y.source_id from automation_priv.sources y where y.source_id = s.source_id and y.state = 'on' for update skip locked);
    end if;
end $$;

-- All at once; what fails, row by row, so that a bad row is noted alone. Never raises but when the statement is cancelled. A statement of the host's, which
-- waits, is left at the limit of errors: what its other rows were is noted a thousand at a time, what they are is in the table; and it waits two seconds for
-- locks, once: after that each row of it has a hundredth. p_events: of the host's.
create function automation_priv.source_apply(s automation_priv.sources, p_changes jsonb, p_events boolean) returns integer
language plpgsql security definer set search_path = '' set lock_timeout = '2s' as $$
declare
    c jsonb;
    v_at bigint;
    n integer := 0;
begin
    begin
        perform automation_priv.source_project(s, p_changes, p_events);
        return 0;
    exception when others then
        if jsonb_array_length(p_changes) = 1 then
            perform automation_priv.source_fail(s, sqlstate, sqlerrm, p_changes -> 0);
            return 1;
        end if;
        if sqlstate = '55P03' then
            perform set_config('lock_timeout', '10ms', true); -- until the function's end
        end if;
    end;
    for c, v_at in select x.value, x.i from jsonb_array_elements(p_changes) with ordinality x(value, i) order by x.i loop
        begin
            perform automation_priv.source_project(s, jsonb_build_array(c), p_events);
        exception when others then
            n := n + 1;
            perform automation_priv.source_fail(s, sqlstate, sqlerrm, c);
            if sqlstate = '55P03' then
                perform set_config('lock_timeout', '10ms', true);
            end if;
        end;
        if p_events and n >= automation_priv.source_error_limit() then
            insert into automation_priv.source_errors (source_id, sqlstate, message, old_row)
            select s.source_id, 'U0004', 'further rows of the statement, not looked at: ' || count(*), jsonb_agg(x.value -> 'old') filter (where jsonb_typeof(x.value -> 'old') = 'object')
            from jsonb_array_elements(p_changes) with ordinality x(value, i) where x.i > v_at group by x.i / 1000;
            exit;
        end if;
    end loop;
    return n;
end $$;

create function automation_priv.source_changed() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    s automation_priv.sources;
    v_changes jsonb;
    v_on text;
begin
    if not (select w.host_tables from automation_priv.switches w) then return null; end if;
    select * into s from automation_priv.sources x where x.source_id = tg_argv[0]::uuid and x.state = 'on';
    if not found then return null; end if;
    if pg_catalog.pg_trigger_depth() > 16 then
        perform automation_priv.source_fail(s, 'U0002', 'a chain of triggers that write each other''s tables without end', '{}');
        return null;
    end if;
    begin
        if tg_op = 'TRUNCATE' then
            perform automation_priv.source_fail(s, 'U0005', 'the table was emptied by TRUNCATE: what its rows became stands until repair_source', '{}');
        elsif tg_op = 'INSERT' then
            execute format('select jsonb_agg(jsonb_build_object(''new'', %s)) from new_rows t', s.raw_sql) into v_changes;
        elsif tg_op = 'DELETE' then
            execute format('select jsonb_agg(jsonb_build_object(''old'', %s)) from old_rows t', s.raw_sql) into v_changes;
        else
            -- Rows whose listed columns are as they were are left out. A key that changed is one row gone and one new.
            select string_agg(format('o.%1$I = n.%1$I', k), ' and ') into v_on from unnest(s.key_columns) k;
            execute format('select jsonb_agg(jsonb_build_object(''old'', o.raw, ''new'', n.raw)) from (select %1$s as raw, t.* from old_rows t) o '
                || 'full join (select %1$s as raw, t.* from new_rows t) n on %2$s where o.raw is distinct from n.raw', s.raw_sql, v_on) into v_changes;
        end if;
        if v_changes is not null then
            perform automation_priv.source_apply(s, v_changes, true);
        end if;
    exception when others then
        begin
            perform automation_priv.source_fail(s, sqlstate, sqlerrm, '{}');
        exception when others then
            raise log 'projection of %: %, which could not be noted', s.host_name, sqlerrm;
        end;
    end;
    return null;
end $$;

-- The source of a table, its row locked, for whoever sees all of the table's rows.
create function automation_priv.source_held(p_table regclass) returns automation_priv.sources
language plpgsql set search_path = '' as $$
declare s automation_priv.sources;
begin
    select * into s from automation_priv.sources x where x.host_table = p_table for update;
    if not found then
        raise exception '% is not attached', coalesce(p_table::text, 'NULL') using errcode = '22023';
    end if;
    perform automation_priv.source_whole(p_table);
    return s;
end $$;

-- Of these rows, as JSON: what they were, and what they are in the table, locked FOR SHARE. Those that are as they were only where they stand alone and p_all.
create function automation_priv.source_read(s automation_priv.sources, p_rows jsonb, p_all boolean) returns jsonb
language plpgsql set search_path = '' as $$
declare v_changes jsonb;
begin
    execute format('select jsonb_agg(c.change) from (select jsonb_build_object(''old'', w.raw, ''new'', n.raw) as change, '
        || 'w.raw is distinct from n.raw or $2 and count(*) over (partition by k.key) = 1 as due '
        || 'from jsonb_array_elements($1) w(raw) cross join lateral (select automation_priv.source_key(%L, w.raw) as key) k '
        || 'left join lateral (select %s as raw from %s t where %s for share of t) n on true) c where c.due',
        s.key_columns, s.raw_sql, s.host_table,
        (select string_agg(format('t.%I = (w.raw ->> %L)::%s', k, k, s.key_types[i]), ' and ') from unnest(s.key_columns) with ordinality x(k, i)))
    into v_changes using p_rows, p_all;
    return v_changes;
end $$;

-- Rows of which something came and that are gone, in the order of their keys: as their deletes would have done. Returns how many; 0 ends the backfill.
create function automation_priv.source_sweep(s automation_priv.sources, p_limit integer) returns integer
language plpgsql set search_path = '' as $$
declare
    v_keys jsonb[];
    v_changes jsonb;
begin
    execute format('select array(select r.key from automation_priv.source_rows r where r.host_name = $1 and r.target = $2 and ($3 is null or r.key > $3) '
        || 'and not exists (select from %s t where %s) order by r.key limit $4)', s.host_table,
        (select string_agg(format('t.%I = (r.key ->> %s)::%s', k, i - 1, s.key_types[i]), ' and ') from unnest(s.key_columns) with ordinality x(k, i)))
    into v_keys using s.host_name, s.target, s.swept_to, p_limit;
    if v_keys <> '{}' then
        -- One that is inserted again at this moment is waited for, and then seen.
        perform from automation_priv.source_rows r where r.host_name = s.host_name and r.target = s.target and r.key = any (v_keys) order by r.key for update;
        v_changes := automation_priv.source_read(s, (select jsonb_agg((select jsonb_object_agg(c, k.key -> (i - 1)::integer) from unnest(s.key_columns) with ordinality x(c, i)))
            from unnest(v_keys) k(key)), true);
        perform automation_priv.source_apply(s, v_changes, false);
    end if;
    update automation_priv.sources x set backfilled = v_keys = '{}', swept_to = coalesce(v_keys[cardinality(v_keys)], x.swept_to) where x.source_id = s.source_id;
    return cardinality(v_keys);
end $$;

-- Rows in the order of their keys, locked FOR SHARE so that no older state comes after a newer one; without events. Returns how many were looked at: 0
-- when all are done. Call it again and again, each time in a transaction of its own, where attach_source was told not to.
create function automation.backfill_source(p_table regclass, p_limit integer default 1000) returns integer
language plpgsql set search_path = '' as $$
declare
    s automation_priv.sources;
    v_rows jsonb;
    v_key text;
    v_after text;
begin
    s := automation_priv.source_held(p_table);
    if p_limit is null or p_limit not between 1 and 100000 then
        raise exception 'p_limit: found %, expected 1 to 100000 rows', coalesce(p_limit::text, 'NULL') using errcode = '22023';
    elsif s.backfilled then
        return 0;
    end if;
    select string_agg(format('t.%I', k), ', ' order by i), string_agg(format('($1 ->> %L)::%s', k, s.key_types[i]), ', ' order by i) into v_key, v_after
    from unnest(s.key_columns) with ordinality x(k, i);
    execute format('select jsonb_agg(jsonb_build_object(''new'', r.raw)) from (select %s as raw from %s t where $1 is null or (%s) > (%s) order by %s limit %L for share of t) r',
        s.raw_sql, p_table, v_key, v_after, v_key, p_limit) into v_rows using s.backfilled_to;
    if v_rows is not null then
        perform automation_priv.source_apply(s, v_rows, false);
    end if;
    if v_rows is null then
        return automation_priv.source_sweep(s, p_limit);
    end if;
    update automation_priv.sources x set backfilled_to = (select jsonb_object_agg(k, v_rows -> -1 -> 'new' -> k) from unnest(s.key_columns) k) where x.source_id = s.source_id;
    return jsonb_array_length(v_rows);
end $$;

-- Row-level security would hide rows of the host's table from whoever backfills or repairs: rows that are there would be taken for gone.
create function automation_priv.source_whole(p_table regclass) returns void
language plpgsql stable set search_path = '' as $$
begin
    if pg_catalog.row_security_active(p_table) then
        raise exception 'row-level security of % hides rows from %: expected its owner without FORCE, or a role with BYPASSRLS', p_table, current_user using errcode = '22023';
    end if;
end $$;

-- Runs a mapping's expressions over a row of nulls as the projection does: what can not be compared, read or called is found now.
create function automation_priv.source_probe(s automation_priv.sources) returns void
language plpgsql security definer set search_path = '' as $$
begin
    execute s.eval_sql using '[{}]'::jsonb;
exception when others then
    raise exception 'mapping itself: rows of % can not be projected: %', s.host_name, sqlerrm using errcode = '22023';
end $$;

-- Attaches a table of the host's: README, "Your own tables". Called by a member of automation_owner that owns the table. p_backfill: project the rows that are
-- there, in batches of 1,000, within this transaction; else they wait for backfill_source.
create function automation.attach_source(p_table regclass, p_mapping jsonb, p_backfill boolean default true) returns uuid
language plpgsql set search_path = '' as $$
declare
    s automation_priv.sources;
    v_id uuid := gen_random_uuid();
begin
    if p_table is null or p_backfill is null then
        raise exception 'attach_source: % is NULL, expected %', case when p_table is null then 'the table' else 'p_backfill' end,
            case when p_table is null then 'a table of the host''s' else 'true or false' end using errcode = '22023';
    elsif (select c.relnamespace::regnamespace::text from pg_catalog.pg_class c where c.oid = p_table) in ('automation', 'automation_part', 'automation_priv') then
        raise exception '% is one of ours: only the host''s tables are attached', p_table using errcode = '22023';
    elsif not exists (select from pg_catalog.pg_class c where c.oid = p_table and c.relkind in ('r', 'p') and not c.relispartition) then
        raise exception '% is no table, or a partition: attach the partitioned table', p_table using errcode = '22023';
    elsif exists (select from automation_priv.sources x where x.host_table = p_table) then
        raise exception '% is attached: detach it first', p_table using errcode = '22023';
    end if;
    perform automation_priv.source_whole(p_table);
    s := automation_priv.source_compile(p_table, p_mapping, s);
    perform automation_priv.source_usage(p_table), automation_priv.source_probe(s);
    s.source_id := v_id;
    s.state := 'on';
    s.backfilled := false;
    s.attached_at := clock_timestamp();
    insert into automation_priv.sources select s.*;
    execute format('create trigger automation_source_insert after insert on %s referencing new table as new_rows for each statement execute function automation_priv.source_changed(%L)', p_table, v_id);
    execute format('create trigger automation_source_update after update on %s referencing old table as old_rows new table as new_rows for each statement execute function automation_priv.source_changed(%L)', p_table, v_id);
    execute format('create trigger automation_source_delete after delete on %s referencing old table as old_rows for each statement execute function automation_priv.source_changed(%L)', p_table, v_id);
    execute format('create trigger automation_source_truncate after truncate on %s for each statement execute function automation_priv.source_changed(%L)', p_table, v_id);
    while p_backfill and automation.backfill_source(p_table) > 0 loop
    end loop;
    return v_id;
end $$;

-- Takes the triggers off and forgets the mapping and its errors. What was projected stays. A table that is gone is named by its oid (sources.host_table).
create function automation.detach_source(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare v_source uuid;
begin
    delete from automation_priv.sources x where x.host_table = p_table returning x.source_id into v_source;
    if not found then
        raise exception '% is not attached', coalesce(p_table::text, 'NULL') using errcode = '22023';
    end if;
    delete from automation_priv.source_errors x where x.source_id = v_source;
    if exists (select from pg_catalog.pg_class c where c.oid = p_table) then
        execute format('drop trigger if exists automation_source_insert on %s', p_table);
        execute format('drop trigger if exists automation_source_update on %s', p_table);
        execute format('drop trigger if exists automation_source_delete on %s', p_table);
        execute format('drop trigger if exists automation_source_truncate on %s', p_table);
    end if;
end $$;

-- Switches the source on and projects again what is noted, as it is in the table now, without events. Where whole statements are noted, or the source was off
-- and saw nothing, that is the whole table: at once, or, without p_backfill, by backfill_source. Returns how many rows are
-- still wrong.
create function automation.repair_source(p_table regclass, p_backfill boolean default true) returns integer
language plpgsql set search_path = '' as $$
declare
    s automation_priv.sources := automation_priv.source_held(p_table);
    v_last bigint := (select max(e.id) from automation_priv.source_errors e where e.source_id = s.source_id);
    v_all boolean := s.state = 'off' or exists (select from automation_priv.source_errors e where e.source_id = s.source_id and e.key is null);
    v_rows jsonb;
    v_n bigint;
begin
    if p_backfill is null then
        raise exception 'repair_source: p_backfill is NULL, expected true or false' using errcode = '22023';
    end if;
    update automation_priv.sources x set state = 'on', reason = null, backfilled = x.backfilled and not v_all, backfilled_to = case when not v_all then x.backfilled_to end,
        swept_to = case when not v_all then x.swept_to end
    where x.source_id = s.source_id;
    loop
        with e as (
            delete from automation_priv.source_errors x where x.id in (select y.id from automation_priv.source_errors y
                where y.source_id = s.source_id and y.id <= v_last order by y.id limit 1000) returning x.id, x.key, x.old_row, x.new_row)
        select count(*), (select jsonb_agg(distinct w.raw) from e cross join lateral jsonb_array_elements(case when e.key is null then e.old_row
            else jsonb_build_array(e.old_row) || jsonb_build_array(e.new_row) end) w(raw) where jsonb_typeof(w.raw) = 'object') into v_n, v_rows from e;
        exit when v_n = 0;
        v_rows := automation_priv.source_read(s, v_rows, not v_all); -- what the backfill comes by is left to it
        if v_rows is not null then
            perform automation_priv.source_apply(s, v_rows, false);
        end if;
    end loop;
    while p_backfill and automation.backfill_source(p_table) > 0 loop
    end loop;
    return (select count(distinct coalesce(e.key::text, e.id::text)) from automation_priv.source_errors e where e.source_id = s.source_id);
end $$;

-- ---- other systems -----------------------------------------------------------------------------------------------------------------------------------
-- What came from other systems and what went to them: one row each, kept for those who ask what happened.
create table automation.integration_events (
    tenant_id uuid not null references automation.tenants on delete cascade,
    event_id uuid not null, -- of inbound ones also the id of the event published
    system text not null check (system ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    direction text not null check (direction in ('inbound', 'outbound')),
    external_id text check (length(external_id) between 1 and 200), -- the other system's name for it
    correlation_id text check (length(correlation_id) <= 200),
    event_type text not null check (length(event_type) <= 64),
    wedding_id uuid,
    endpoint_id uuid,
    payload jsonb not null default '{}' check (jsonb_typeof(payload) = 'object' and pg_column_size(payload) <= 65536),
    status text not null check (status in ('published', 'pending', 'sent', 'failed')),
    error text,
    attempts smallint not null default 0,
    at timestamptz not null,
    settled_at timestamptz,
    primary key (tenant_id, event_id),
    check ((direction = 'inbound') = (status = 'published'))
);
create unique index integration_events_external on automation.integration_events (tenant_id, system, direction, external_id) where external_id is not null;
create index integration_events_correlation on automation.integration_events (tenant_id, correlation_id) where correlation_id is not null;
create index integration_events_at on automation.integration_events (tenant_id, at desc);
alter table automation.integration_events enable row level security;

-- Where other systems call us and where we call them. A path token is stored as its SHA-256; a secret is never stored, only where it is kept.
create table automation.webhook_endpoints (
    tenant_id uuid not null references automation.tenants on delete cascade,
    endpoint_id uuid not null default gen_random_uuid(),
    system text not null check (system ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    direction text not null check (direction in ('inbound', 'outbound')),
    token_hash bytea check (octet_length(token_hash) = 32),
    url text check (url ~ '^https?://[^/?#@{ ]+([/?#].*)?$' and length(url) <= 2048),
    secret_ref text check (secret_ref ~ '^[A-Za-z][A-Za-z0-9_./:-]{0,199}$'), -- the name of an environment variable or of a vault's entry
    events text[] not null default '{}', -- outbound: types to send; inbound: types to accept. None: all
    active boolean not null default true,
    created_at timestamptz not null default automation.now(),
    primary key (tenant_id, endpoint_id),
    check ((direction = 'inbound') = (token_hash is not null) and (direction = 'outbound') = (url is not null))
);
create unique index webhook_endpoints_token on automation.webhook_endpoints (token_hash) where token_hash is not null;
alter table automation.webhook_endpoints enable row level security;

-- Which of our rows is which of theirs, and what we last saw of it.
create table automation.external_sync_state (
    tenant_id uuid not null references automation.tenants on delete cascade,
    system text not null check (system ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    entity text not null check (entity ~ '^[a-z][a-z0-9_]{0,62}$'), -- wedding, contact, vendor, invoice …
    external_id text not null check (length(external_id) between 1 and 200),
    internal_id uuid,
    digest bytea, -- SHA-256 of what was last seen
    cursor text,  -- how far a listing was read; of the row whose external_id is '*'
    seen_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (tenant_id, system, entity, external_id)
);
create index external_sync_state_internal on automation.external_sync_state (tenant_id, internal_id) where internal_id is not null;
alter table automation.external_sync_state enable row level security;

create function automation_priv.check_party(p_tenant uuid, p_system text) returns void
language plpgsql stable set search_path = '' as $$
begin
    if not exists (select from automation.tenants t where t.tenant_id = p_tenant) then
        raise exception 'unknown tenant %', coalesce(p_tenant::text, 'NULL') using errcode = '22023';
    elsif p_system is null or p_system !~ '^[a-z][a-z0-9_.-]{0,62}$' then
        raise exception 'system %: expected a lower-case word such as stripe', quote_nullable(p_system) using errcode = '22023';
    end if;
end $$;

-- Notes an external row: 'new', 'changed' or 'same' as what was seen before. Our id, once known, stays when none is given.
create function automation.sync_seen(p_tenant uuid, p_system text, p_entity text, p_external_id text, p_seen jsonb, p_internal uuid default null) returns text
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    v_digest bytea := sha256(convert_to(p_seen::text, 'UTF8'));
    v_old bytea;
begin
    perform automation_priv.check_party(p_tenant, p_system);
    if p_entity is null or p_entity !~ '^[a-z][a-z0-9_]{0,62}$' then
        raise exception 'entity %: expected a lower-case word such as wedding', quote_nullable(p_entity) using errcode = '22023';
    elsif p_external_id is null or length(p_external_id) not between 1 and 200 then
        raise exception 'external id %: expected 1 to 200 characters, by which the row is known again', quote_nullable(left(p_external_id, 40)) using errcode = '22023';
    elsif p_seen is null then
        raise exception 'what was seen of % %: found NULL, expected JSON', p_entity, quote_literal(p_external_id) using errcode = '22023';
    end if;
    insert into automation.external_sync_state (tenant_id, system, entity, external_id, internal_id, digest, seen_at, changed_at)
    values (p_tenant, p_system, p_entity, p_external_id, p_internal, v_digest, v_now, v_now) on conflict do nothing;
    if found then
        return 'new';
    end if;
    select s.digest into v_old from automation.external_sync_state s
    where s.tenant_id = p_tenant and s.system = p_system and s.entity = p_entity and s.external_id = p_external_id for update;
    update automation.external_sync_state s set digest = v_digest, internal_id = coalesce(p_internal, s.internal_id), seen_at = v_now,
        changed_at = case when v_old = v_digest then s.changed_at else v_now end
    where s.tenant_id = p_tenant and s.system = p_system and s.entity = p_entity and s.external_id = p_external_id;
    return case when v_old = v_digest then 'same' else 'changed' end;
end $$;

-- An event of another system: noted and published, once for each (system, external id), however often it is delivered. p_external_wedding names the
-- wedding as the other system does (external_sync_state, entity 'wedding'). created = false: it was there; the id is the first one's.
create function automation.receive_event(p_tenant uuid, p_system text, p_external_id text, p_type text, p_payload jsonb default '{}', p_wedding uuid default null,
    p_external_wedding text default null, p_correlation text default null, p_at timestamptz default null, p_endpoint uuid default null)
returns table (event_id uuid, created boolean)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    v_wedding uuid := p_wedding;
    v_now timestamptz := automation.now();
begin
    perform automation_priv.check_party(p_tenant, p_system);
    if p_external_id is null or length(p_external_id) not between 1 and 200 then
        raise exception 'external id %: expected 1 to 200 characters, by which the event is known again', coalesce(quote_literal(left(p_external_id, 40)), 'NULL') using errcode = '22023';
    elsif length(p_correlation) > 200 then
        raise exception 'correlation id of % characters: expected at most 200', length(p_correlation) using errcode = '22023';
    elsif pg_column_size(p_payload) > 65536 then
        raise exception 'event payload of % bytes: expected at most 65536', pg_column_size(p_payload) using errcode = '22023';
    elsif p_wedding is not null and p_external_wedding is not null then
        raise exception 'expected one of the wedding''s id and its external id' using errcode = '22023';
    end if;
    perform automation_priv.check_event(p_tenant, p_type, p_wedding, p_payload, p_at);
    event_id := automation_priv.derive('integration', p_tenant::text, p_system, p_external_id);
    if p_external_wedding is not null then
        select s.internal_id into v_wedding from automation.external_sync_state s
        where s.tenant_id = p_tenant and s.system = p_system and s.entity = 'wedding' and s.external_id = p_external_wedding;
        if v_wedding is null then
            raise exception 'no wedding of tenant % is % of %', p_tenant, quote_literal(p_external_wedding), p_system using errcode = '22023',
                hint = 'automation.sync_seen(tenant, system, ''wedding'', external id, …, our id) says which is which.';
        end if;
    end if;
    insert into automation.integration_events (tenant_id, event_id, system, direction, external_id, correlation_id, event_type, wedding_id, endpoint_id, payload, status, at, settled_at)
    values (p_tenant, event_id, p_system, 'inbound', p_external_id, p_correlation, p_type, v_wedding, p_endpoint, p_payload, 'published', v_now, v_now)
    on conflict do nothing;
    created := found;
    if created then
        perform automation.publish_event(p_tenant, p_type, v_wedding, p_payload || jsonb_strip_nulls(jsonb_build_object('system', p_system,
            'external_id', p_external_id, 'correlation_id', p_correlation)), event_id, p_at);
    end if;
    return next;
end $$;

-- What an endpoint is told: event types, none for all, and the name under which its secret is kept.
create function automation_priv.check_endpoint(p_tenant uuid, p_system text, p_events text[], p_secret_ref text) returns void
language plpgsql stable set search_path = '' as $$
declare v_bad text := (select quote_nullable(x) from unnest(p_events) x where x is null or x !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' or length(x) > 64 limit 1);
begin
    perform automation_priv.check_party(p_tenant, p_system);
    if p_events is null or v_bad is not null then
        raise exception 'event types: found %, expected lower-case words joined by dots, such as payment.received, or none for all', coalesce(v_bad, 'NULL') using errcode = '22023';
    elsif p_secret_ref !~ '^[A-Za-z][A-Za-z0-9_./:-]{0,199}$' then -- not told back: it may be the secret itself
        raise exception 'secret_ref of % characters: expected the name under which the secret is kept, such as env:CRM_SECRET', length(p_secret_ref) using errcode = '22023';
    end if;
end $$;

-- A new endpoint for another system to call. The token is shown this once.
create function automation.open_endpoint(p_tenant uuid, p_system text, p_events text[] default '{}', p_secret_ref text default null)
returns table (endpoint_id uuid, token text)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
begin
    perform automation_priv.check_endpoint(p_tenant, p_system, p_events, p_secret_ref);
    token := translate(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_');
    insert into automation.webhook_endpoints (tenant_id, system, direction, token_hash, events, secret_ref)
    values (p_tenant, p_system, 'inbound', sha256(convert_to(token, 'UTF8')), p_events, p_secret_ref) returning webhook_endpoints.endpoint_id into endpoint_id;
    return next;
end $$;

-- receive_event by a path token. The same error for a token that is wrong and for an endpoint that is closed.
create function automation.receive_webhook(p_token text, p_external_id text, p_type text, p_payload jsonb default '{}', p_external_wedding text default null,
    p_correlation text default null, p_at timestamptz default null) returns table (event_id uuid, created boolean)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare e automation.webhook_endpoints;
begin
    select * into e from automation.webhook_endpoints x where x.token_hash = sha256(convert_to(p_token, 'UTF8')) and x.active;
    if not found then
        raise exception 'no such endpoint' using errcode = '28000';
    elsif e.events <> '{}' and coalesce(p_type, '') <> all (e.events) then
        raise exception 'event type %: this endpoint takes %', quote_nullable(p_type), array_to_string(e.events, ', ') using errcode = '22023';
    end if;
    return query select * from automation.receive_event(e.tenant_id, e.system, p_external_id, p_type, p_payload, null, p_external_wedding, p_correlation, p_at, e.endpoint_id);
end $$;

-- A new endpoint of another system for the services that send to it. `active` and `events` are columns to be changed; who deletes the row closes it.
create function automation.open_outbound(p_tenant uuid, p_system text, p_url text, p_events text[] default '{}', p_secret_ref text default null) returns uuid
language plpgsql security definer set search_path = '' as $$
declare v_id uuid;
begin
    perform automation_priv.check_endpoint(p_tenant, p_system, p_events, p_secret_ref);
    if p_url is null or p_url !~ '^https?://[^/?#@{ ]+([/?#].*)?$' or length(p_url) > 2048 then -- not told back: its query may hold a key
        raise exception 'url of % characters: expected http:// or https://, a host without user or password, at most 2048 characters', coalesce(length(p_url), 0) using errcode = '22023';
    end if;
    insert into automation.webhook_endpoints (tenant_id, system, direction, url, events, secret_ref)
    values (p_tenant, p_system, 'outbound', p_url, p_events, p_secret_ref) returning endpoint_id into v_id;
    return v_id;
end $$;

-- What goes to another system: noted as pending by whoever sends it, and settled when it knows what became of it.
create function automation.record_outbound(p_tenant uuid, p_system text, p_type text, p_payload jsonb default '{}', p_wedding uuid default null,
    p_external_id text default null, p_correlation text default null, p_endpoint uuid default null, p_event_id uuid default null) returns uuid
language plpgsql security definer set search_path = '' as $$
declare v_id uuid := coalesce(p_event_id, gen_random_uuid());
begin
    perform automation_priv.check_party(p_tenant, p_system);
    if p_type is null or length(p_type) not between 1 and 64 then
        raise exception 'event type %: expected 1 to 64 characters', quote_nullable(left(p_type, 80)) using errcode = '22023';
    elsif p_payload is null or jsonb_typeof(p_payload) <> 'object' then
        raise exception 'event payload: found %; expected an object', coalesce(jsonb_typeof(p_payload), 'NULL') using errcode = '22023';
    elsif pg_column_size(p_payload) > 65536 then
        raise exception 'event payload of % bytes: expected at most 65536', pg_column_size(p_payload) using errcode = '22023';
    elsif length(p_external_id) not between 1 and 200 then
        raise exception 'external id of % characters: expected 1 to 200', length(p_external_id) using errcode = '22023';
    elsif length(p_correlation) > 200 then
        raise exception 'correlation id of % characters: expected at most 200', length(p_correlation) using errcode = '22023';
    elsif p_endpoint is not null and not exists (select from automation.webhook_endpoints x
            where x.tenant_id = p_tenant and x.endpoint_id = p_endpoint and x.direction = 'outbound') then
        raise exception 'tenant % has no outbound endpoint %', p_tenant, p_endpoint using errcode = '22023';
    elsif p_wedding is not null and not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding) then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = '22023';
    end if;
    insert into automation.integration_events (tenant_id, event_id, system, direction, external_id, correlation_id, event_type, wedding_id, endpoint_id, payload, status, at)
    values (p_tenant, v_id, p_system, 'outbound', p_external_id, p_correlation, p_type, p_wedding, p_endpoint, p_payload, 'pending', automation.now())
    on conflict (tenant_id, event_id) do nothing;
    return v_id;
end $$;

create function automation.settle_outbound(p_tenant uuid, p_event_id uuid, p_error text default null) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    if p_tenant is null or p_event_id is null then
        raise exception 'settle_outbound: % is NULL, expected the id that record_outbound returned and its tenant', case when p_tenant is null then 'the tenant' else 'the event id' end
            using errcode = '22023';
    end if;
    update automation.integration_events e set status = case when p_error is null then 'sent' else 'failed' end, error = left(p_error, 1000),
        attempts = (e.attempts + 1)::smallint, settled_at = automation.now()
    where e.tenant_id = p_tenant and e.event_id = p_event_id and e.direction = 'outbound' and e.status <> 'sent';
    return found;
end $$;

insert into automation_priv.retention (table_name, reason) values
    ('automation.message_templates', 'kept: tenants'' data'),
    ('automation.stages', 'kept: tenants'' data'),
    ('automation.forms', 'kept: tenants'' data'),
    ('automation.rule_templates', 'kept: tenants'' data'),
    ('automation.webhook_endpoints', 'kept: tenants'' data'),
    ('automation.external_sync_state', 'bounded: one row each of another system''s rows'),
    ('automation_priv.sources', 'bounded: one row a host table'),
    ('automation_priv.source_rows', 'bounded: one row each of the host''s rows');
insert into automation_priv.retention (table_name, stamp, keep, reason) values
    ('automation.integration_events', 't.at', '13 months', 'history; a delivery that is repeated later is a new event'),
    ('automation_priv.source_errors', 't.at', '90 days', 'repair before');
create index integration_events_purge on automation.integration_events (at);
create index source_errors_purge on automation_priv.source_errors (at);

do $$
declare x text;
begin
    for x in select p.oid::regprocedure from pg_catalog.pg_proc p where p.pronamespace in ('automation'::regnamespace, 'automation_priv'::regnamespace)
            and p.oid <> 'automation.now()'::regprocedure loop
        execute format('revoke execute on function %s from public', x);
    end loop;
    for x in select c.oid::regclass from pg_catalog.pg_class c where c.relnamespace in ('automation'::regnamespace, 'automation_priv'::regnamespace)
            and c.relkind in ('r', 'p') and c.relowner = 'automation_owner'::regrole loop
        execute format('grant select on table %s to automation_scheduler, automation_monitor', x);
    end loop;
end $$;
grant execute on function automation.render_template, automation.instantiate_template to automation_scheduler;
reset role;
