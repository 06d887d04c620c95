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

a year ago today you said yes. We remember it well, and wish you many more. If you would like a print of your favourite photo: choose one, it is on us.

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
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}, "max_runs_per_wedding": 1}}',
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
        "title": "tag for inquiries that stay quiet"}}}');

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
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
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
        "title": "stage of expired proposals"}}}');

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
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
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
        "title": "message template to send"}}}');

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
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}, "max_runs_per_wedding": 1}}',
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
      "album_days": {"type": "integer", "minimum": 1, "maximum": 120, "default": 14, "title": "days until the album offer"}}}');

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
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}, "max_runs_per_wedding": 1}}',
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
      "second_days": {"type": "integer", "minimum": 1, "maximum": 90, "default": 14, "title": "days until the second mail"}}}');

insert into automation.rule_templates (key, version, category, name, description, definition, params_schema) values
('anniversary', 1, 'after', 'First anniversary',
 'A year after the wedding, with the couple''s consent to be written to.',
 '{
    "schema_version": 1,
    "name": "First anniversary",
    "template_key": "anniversary",
    "trigger": {"type": "milestone", "milestone": "anniversary", "offset": "P0D", "at": "[[at]]", "time_zone": "wedding"},
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
        "title": "local time of day"}}}');

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
        "params": {"title": "Ask {{client.name}} for the new date", "due": "P14D"}}]}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "postponed_ack",
        "title": "message template to send"}}}');

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
        "then": [{"id": "ask_music", "type": "notify_vendor", "params": {"role": "music", "template": "[[vendor_message]]"}}]}]}',
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
        "title": "message template for the vendors"}}}');

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
    "settings": {"exit_when": {"in": [{"var": "wedding.status"}, ["cancelled", "archived"]]}}}',
 '{
    "type": "object",
    "additionalProperties": false,
    "properties": {
      "message": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,62}$",
        "default": "payment_failed",
        "title": "message template to send"},
      "wait_days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 2, "title": "days to wait for a payment"}}}');

insert into automation_priv.retention (table_name, reason) values
    ('automation.message_templates', 'kept: tenants'' data'),
    ('automation.stages', 'kept: tenants'' data'),
    ('automation.forms', 'kept: tenants'' data'),
    ('automation.rule_templates', 'kept: tenants'' data');

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
grant execute on all functions in schema automation_priv to automation_scheduler;
grant execute on function automation.render_template, automation.instantiate_template to automation_scheduler;
reset role;
