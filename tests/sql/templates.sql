-- Rule templates, their parameters and instances; message templates; names that active rules use.
begin;
select plan(41);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');

-- ---- the set
select cmp_ok((select count(*)::int from automation.rule_templates where tenant_id is null and published), '>=', 24, 'the templates are there');
select cmp_ok((select count(*)::int from automation.rule_templates where (select count(distinct r #>> '{}') from
    jsonb_path_query(definition, '$.**.params.role') r) >= 2), '>=', 6, 'at least six write to several vendors');
select is_empty($$ select t.key, n from automation.rule_templates t, lateral jsonb_path_query(automation_priv.params_fill(definition,
        automation_priv.params_resolve(key, params_schema, '{}')), '$.**.params.template') n
    where not exists (select from automation.message_templates m where m.tenant_id is null and m.name = n #>> '{}') $$, 'each text they name exists');
select is_empty($$ select m.name from automation.message_templates m where not exists (select from automation.rule_templates t, lateral jsonb_each(t.params_schema -> 'properties') p
    where p.value ->> 'default' = m.name) $$, 'and each text is used');

-- ---- parameters
select throws_ok($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', '{"days": "ten", "hour": 9, "at": "25:00"}') $$, '22023',
    'template timeline_call_30, version 1: parameter at: found "25:00", expected a text that matches ^([01][0-9]|2[0-3]):[0-5][0-9]$; '
    'parameter days: found "ten", expected an integer from 3 to 180; parameter hour: found 9, expected no such parameter: there are at, days, message, task_days');
select throws_like($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', '{"days": 2}') $$, '%found 2, expected an integer from 3 to 180');
select throws_like($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', '{"days": 7.5}') $$, '%found 7.5, expected an integer%');
select throws_ok($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', '[]') $$, '22023',
    'template timeline_call_30, version 1: parameters: found array, expected an object');
select throws_ok($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_cal') $$, '22023', 'there is no rule template ''timeline_cal''');
select throws_ok($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', p_version => 7) $$, '22023',
    'there is no rule template ''timeline_call_30'' of version 7');
select throws_ok($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000009', 'timeline_call_30') $$, '22023',
    'unknown tenant 10000000-0000-4000-8000-000000000009');
select throws_ok($$ select automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', p_status => 'paused') $$, '22023',
    'status ''paused'': expected ''draft'' or ''active''');
select is_empty($$ select from automation.rules $$, 'what is refused leaves nothing');

-- ---- instances
select is(automation.instantiate_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', '{"days": 45, "message": "own_call"}', p_name => 'Call',
    p_rule_id => '30000000-0000-4000-8000-000000000001'), '30000000-0000-4000-8000-000000000001'::uuid, 'a rule is made');
select results_eq($$ select name, status, template_key, template_version, template_params ->> 'days', definition ->> 'name', definition #>> '{trigger,offset}',
        definition #>> '{actions,0,params,template}', definition #>> '{actions,1,params,due}' from automation.rules $$,
    $$ values ('Call', 'draft', 'timeline_call_30', 1, '45', 'Call', '-P45D', 'own_call', 'P7D') $$, 'with its parameters in place, and where it came from');
select is(automation_priv.params_fill('{"a": "[[n]]", "b": "P[[n]]D", "c": ["[[x]]", "[[no]]"], "d": "[[no]]", "e": {"f": [true, null, 1.5]}}', '{"n": 3, "x": {"y": 1}}'),
    '{"a": 3, "b": "P3D", "c": [{"y": 1}], "e": {"f": [true, null, 1.5]}}'::jsonb, 'a place alone keeps the type; what is not given is left out');

-- ---- a tenant's own, and versions
select throws_ok($$ insert into automation.rule_templates (key, category, name, description, definition, params_schema)
    values ('t', 'lead', 't', '', '{"a": "[[x]]", "b": "P[[y]]D"}', '{"type": "object", "properties": {"x": {"type": "integer"}, "z": {"type": "integer"}}}') $$,
    '22023', null, 'places and parameters belong together');
select throws_ok($$ insert into automation.rule_templates (key, category, name, description, definition, params_schema)
    values ('t', 'lead', 't', '', '{"a": "[[x]]"}', '{"type": "object", "properties": {"x": {"type": "integer", "default": "3"}}}') $$,
    '22023', 'template t, version 1: parameter x: found "3", expected an integer', 'a default fits its parameter');
insert into automation.rule_templates (tenant_id, key, version, category, name, description, definition, params_schema, published) values
    ('10000000-0000-4000-8000-000000000001', 'timeline_call_30', 1, 'final', 'Ours', '', '{"x": "[[n]]"}', '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}', true),
    ('10000000-0000-4000-8000-000000000001', 'timeline_call_30', 2, 'final', 'Not yet', '', '{"x": 2}', '{"type": "object", "properties": {}}', false);
select is((select name from automation.render_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', '{"n": 1}')), 'Ours', 'a tenant''s own comes first');
select throws_ok($$ select automation.render_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30') $$, '22023',
    'template timeline_call_30, version 1: parameter n: missing, expected an integer');
select is((select name from automation.render_template('10000000-0000-4000-8000-000000000001', 'timeline_call_30', p_version => 2)), 'Not yet', 'a version may be named');
select is((select name from automation.render_template('10000000-0000-4000-8000-000000000002', 'timeline_call_30')), 'Timeline call', 'others do not see it');
select throws_ok($$ update automation.rule_templates set definition = '{"x": "[[n]]", "y": 1}' where name = 'Ours' $$, '55000',
    'template timeline_call_30, version 1 is published and can not be changed: insert version 2');
select lives_ok($$ update automation.rule_templates set definition = '{"x": 3}' where name = 'Not yet' $$, 'what is not published may change');
select lives_ok($$ update automation.rule_templates set published = false where name = 'Ours' $$, 'and a version may be withdrawn');
select throws_ok($$ insert into automation.rule_templates (key, category, name, description, definition) values ('day_before', 'day', 'x', '', '{}') $$, '23505', null,
    'key and version are one of a kind, also without tenant');

-- ---- message templates
select is(automation_priv.message_snapshot('10000000-0000-4000-8000-000000000001', null), '{}', 'a rule that names none keeps none');
insert into automation.message_templates (tenant_id, name, subject, body) values ('10000000-0000-4000-8000-000000000001', 'day_before', 'Tomorrow!', 'b');
select results_eq($$ select s #>> '{message_templates,day_before,subject}', s #>> '{message_templates,thank_you,subject}', (select count(*) from jsonb_object_keys(s -> 'message_templates'))
        from automation_priv.message_snapshot('10000000-0000-4000-8000-000000000001', '["day_before", "thank_you", "nobody"]') s $$,
    $$ values ('Tomorrow!', 'What a day', 2::bigint) $$, 'a tenant''s own text comes before everybody''s');
select is(automation_priv.message_snapshot('10000000-0000-4000-8000-000000000002', '["day_before"]') #>> '{message_templates,day_before,subject}', 'See you tomorrow', 'for that tenant');
update automation.message_templates set body = 'c' where tenant_id is not null;
select is((select version from automation.message_templates where tenant_id is not null), 2, 'a change raises the version');
select throws_ok($$ insert into automation.message_templates (name, channel, body) values ('x', 'email', 'b') $$, '23514', null, 'a mail has a subject');

-- ---- names in use
insert into automation.rules (tenant_id, rule_id, name, status, definition)
select '10000000-0000-4000-8000-000000000001', gen_random_uuid(), 'Rule ' || lpad(i::text, 2, '0'), 'active',
    '{"schema_version": 1, "name": "r", "trigger": {"type": "manual"},
      "conditions": {"and": [{"in": [{"var": "project.stage"}, ["booked", "won"]]}, {"==": [{"var": "forms.timeline.submitted_at"}, null]}]},
      "actions": [{"type": "branch", "if": true, "then": [{"type": "move_stage", "params": {"stage": "done"}}, {"type": "send_email", "params": {"template": "hello"}}]}]}'
from generate_series(1, 12) i;
insert into automation.stages (tenant_id, name) select '10000000-0000-4000-8000-000000000001', unnest(array['booked', 'won', 'done', 'lost']);
insert into automation.forms (tenant_id, name) select '10000000-0000-4000-8000-000000000001', unnest(array['timeline', 'music']);
insert into automation.message_templates (tenant_id, name, subject, body) values ('10000000-0000-4000-8000-000000000001', 'hello', 's', 'b'), (null, 'hello', 's', 'b');
select lives_ok($$ delete from automation.message_templates where name = 'hello' and tenant_id is not null $$, 'everybody''s text takes the place of a tenant''s own');
select throws_ok($$ delete from automation.message_templates where name = 'hello' $$, '55006',
    'message template hello is used by 12 active rules: "Rule 01", "Rule 02", "Rule 03", "Rule 04", "Rule 05", "Rule 06", "Rule 07", "Rule 08", "Rule 09", "Rule 10" and 2 more');
select throws_like($$ update automation.message_templates set name = 'hi' where name = 'hello' $$, '%is used by 12 active rules%', 'nor may it be renamed');
select throws_like($$ delete from automation.stages where name = 'won' $$, 'stage won is used by 12 active rules%', 'a stage that conditions name');
select throws_like($$ delete from automation.stages where name = 'done' $$, 'stage done is used by 12 active rules%', 'a stage that actions name');
select throws_like($$ update automation.forms set name = 'x' where name = 'timeline' $$, 'form timeline is used by 12 active rules%', 'a form');
select lives_ok($$ delete from automation.stages where name = 'lost' $$, 'what no rule uses may go');
update automation.rules set status = 'paused' where name like 'Rule%';
select lives_ok($$ delete from automation.message_templates where name = 'hello' $$, 'what only paused rules use may go');
update automation.rules set status = 'active' where name = 'Rule 01';
select throws_ok($$ delete from automation.stages where name = 'done' $$, '55006', 'stage done is used by 1 active rule: "Rule 01"');
select lives_ok($$ delete from automation.tenants where tenant_id = '10000000-0000-4000-8000-000000000001' $$, 'with its tenant everything goes');

select * from finish();
rollback;
