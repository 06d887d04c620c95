-- Events from and to other systems, endpoints, and which row is which of theirs.
begin;
select plan(101);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone) values
    ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon');
delete from automation_priv.outbox;
create function pg_temp.receive(p_ext text, p_type text default 'payment.received', p_tenant text default '1', p_system text default 'stripe', p_wedding text default null) returns uuid
language sql as $$ select event_id from automation.receive_event(('10000000-0000-4000-8000-00000000000' || p_tenant)::uuid, p_system, p_ext, p_type, '{"amount": 5}',
    p_external_wedding => p_wedding, p_correlation => 'c-1') $$;

-- ---- inbound
select is(pg_temp.receive('evt_1'), automation_priv.derive('integration', '10000000-0000-4000-8000-000000000001', 'stripe', 'evt_1'), 'an event of another system is received');
select is(pg_temp.receive('evt_1'), (select event_id from automation_priv.outbox), 'and received again');
select results_eq($$ select event_type, payload from automation_priv.outbox $$, $$ values ('payment.received',
    '{"amount": 5, "system": "stripe", "external_id": "evt_1", "correlation_id": "c-1"}'::jsonb) $$, 'and is one event, that says where it is from');
select results_eq($$ select created from automation.receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'evt_1', 'payment.received') $$, array[false], 'which is told');
select results_eq($$ select status, direction, external_id, correlation_id, payload from automation.integration_events $$,
    $$ values ('published', 'inbound', 'evt_1', 'c-1', '{"amount": 5}'::jsonb) $$, 'one row');
select isnt(pg_temp.receive('evt_1', p_system => 'paypal'), pg_temp.receive('evt_1'), 'ids are each system''s own');
select isnt(pg_temp.receive('evt_1', p_tenant => '2'), pg_temp.receive('evt_1'), 'and each tenant''s');
select is((select count(*)::int from automation_priv.outbox), 3, 'three events');
select throws_ok($$ select pg_temp.receive('evt_2', 'Payment') $$, '22023', null, 'what can not be published is refused');
select throws_ok($$ select pg_temp.receive(null) $$, '22023', 'external id NULL: expected 1 to 200 characters, by which the event is known again');
select throws_ok($$ select pg_temp.receive('e', p_system => 'Stripe Inc') $$, '22023', 'system ''Stripe Inc'': expected a lower-case word such as stripe');
select throws_ok($$ select pg_temp.receive('e', p_wedding => 'deal-7') $$, '22023', 'no wedding of tenant 10000000-0000-4000-8000-000000000001 is ''deal-7'' of stripe');
select is((select count(*)::int from automation.integration_events), 3, 'and leaves nothing');

-- ---- which is which
select is(automation.sync_seen('10000000-0000-4000-8000-000000000001', 'stripe', 'wedding', 'deal-7', '{"a": 1}', '20000000-0000-4000-8000-000000000001'), 'new');
select is(automation.sync_seen('10000000-0000-4000-8000-000000000001', 'stripe', 'wedding', 'deal-7', '{"a": 1}'), 'same');
select is(automation.sync_seen('10000000-0000-4000-8000-000000000001', 'stripe', 'wedding', 'deal-7', '{"a": 2}'), 'changed');
select is((select internal_id from automation.external_sync_state), '20000000-0000-4000-8000-000000000001'::uuid, 'our id stays');
select lives_ok($$ select pg_temp.receive('evt_3', p_wedding => 'deal-7') $$);
select is((select wedding_id from automation_priv.outbox where payload ->> 'external_id' = 'evt_3'), '20000000-0000-4000-8000-000000000001'::uuid, 'a wedding by its name there');

-- ---- endpoints
create temp table opened as select * from automation.open_endpoint('10000000-0000-4000-8000-000000000001', 'typeform', array['form.submitted'], 'env:TYPEFORM_SECRET');
select cmp_ok((select length(token) from opened), '>=', 43, 'a token of 256 bits');
select is_empty($$ select from automation.webhook_endpoints e, opened o where e::text like '%' || o.token || '%' $$, 'that is not stored');
select results_eq($$ select created from automation.receive_webhook((select token from opened), 'r-1', 'form.submitted', '{"form_slug": "timeline"}') $$, array[true], 'its bearer delivers');
select is((select system || ' ' || (endpoint_id = (select endpoint_id from opened)) from automation.integration_events where external_id = 'r-1'), 'typeform true', 'for its tenant and system');
select throws_ok($$ select * from automation.receive_webhook((select token from opened), 'r-2', 'payment.received') $$, '22023', 'event type ''payment.received'': this endpoint takes form.submitted');
select throws_ok($$ select * from automation.receive_webhook('wrong', 'r-2', 'form.submitted') $$, '28000', 'no such endpoint');
update automation.webhook_endpoints set active = false;
select throws_ok($$ select * from automation.receive_webhook((select token from opened), 'r-2', 'form.submitted') $$, '28000', 'no such endpoint', 'closed is as unknown');
select throws_ok($$ insert into automation.webhook_endpoints (tenant_id, system, direction, url, secret_ref) values
    ('10000000-0000-4000-8000-000000000001', 'x', 'outbound', 'https://x.example/hook', 'whsec_+abc/def==') $$, '23514', null, 'a secret itself does not pass for a reference');

-- ---- refused: each says what it found, and nothing of it stays
create function pg_temp.refused(p_call text, p_error text, p_code text default '22023') returns setof text
language plpgsql as $$
declare v_events bigint := (select count(*) from automation.integration_events); v_outbox bigint := (select count(*) from automation_priv.outbox);
begin
    return next throws_ok('select * from automation.' || p_call, p_code, p_error, p_call);
    if v_events <> (select count(*) from automation.integration_events) or v_outbox <> (select count(*) from automation_priv.outbox) then
        return next fail('left something behind: ' || p_call);
    end if;
end $$;
select pg_temp.refused($$receive_event(null, 'stripe', 'r', 'payment.received')$$, 'unknown tenant NULL');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', null, 'r', 'payment.received')$$, 'system NULL: expected a lower-case word such as stripe');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', null, 'payment.received')$$,
    'external id NULL: expected 1 to 200 characters, by which the event is known again');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', null)$$,
    'event type NULL: expected lower-case words joined by dots, such as payment.received');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', null)$$, 'event payload: found NULL; expected an object');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', '[1]')$$, 'event payload: found array; expected an object');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', '{}', '20000000-0000-4000-8000-00000000000f')$$,
    'tenant 10000000-0000-4000-8000-000000000001 has no wedding 20000000-0000-4000-8000-00000000000f');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', p_correlation => repeat('c', 201))$$,
    'correlation id of 201 characters: expected at most 200');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', jsonb_build_object('a', repeat('a', 65536)))$$,
    'event payload of 65553 bytes: expected at most 65536');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', p_at => 'infinity')$$, 'event at infinity: expected an instant');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', repeat('e', 201), 'payment.received')$$,
    'external id ''eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee'': expected 1 to 200 characters, by which the event is known again');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', '', 'payment.received')$$,
    'external id '''': expected 1 to 200 characters, by which the event is known again');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', p_wedding => '20000000-0000-4000-8000-000000000001', p_external_wedding => 'deal-7')$$,
    'expected one of the wedding''s id and its external id');
-- The name of a wedding is its tenant's, its system's, and no other row's.
select automation.sync_seen('10000000-0000-4000-8000-000000000001', 'stripe', 'contact', 'deal-8', '{}', '20000000-0000-4000-8000-000000000001');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000002', 'stripe', 'r', 'payment.received', p_external_wedding => 'deal-7')$$,
    'no wedding of tenant 10000000-0000-4000-8000-000000000002 is ''deal-7'' of stripe');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'paypal', 'r', 'payment.received', p_external_wedding => 'deal-7')$$,
    'no wedding of tenant 10000000-0000-4000-8000-000000000001 is ''deal-7'' of paypal');
select pg_temp.refused($$receive_event('10000000-0000-4000-8000-000000000001', 'stripe', 'r', 'payment.received', p_external_wedding => 'deal-8')$$,
    'no wedding of tenant 10000000-0000-4000-8000-000000000001 is ''deal-8'' of stripe');
create temp table takes as select * from automation.open_endpoint('10000000-0000-4000-8000-000000000001', 'portal', '{form.submitted}');
select pg_temp.refused($$receive_webhook(null, 'r', 'form.submitted')$$, 'no such endpoint', '28000');
select pg_temp.refused($$receive_webhook((select token from takes), 'r', null)$$, 'event type NULL: this endpoint takes form.submitted');
select pg_temp.refused($$receive_webhook((select token from takes), null, 'form.submitted')$$,
    'external id NULL: expected 1 to 200 characters, by which the event is known again');
select pg_temp.refused($$receive_webhook((select token from takes), 'r', 'form.submitted', 'null')$$, 'event payload: found null; expected an object');
create temp table any_type as select * from automation.open_endpoint('10000000-0000-4000-8000-000000000001', 'stripe');
select results_eq($$ select created from automation.receive_webhook((select token from any_type), 'w-1', 'visit.made', '{}', 'deal-7', 'c-9', '2031-05-01 10:00+00') $$, array[true],
    'an endpoint without a list takes all');
select results_eq($$ select wedding_id, correlation_id, endpoint_id from automation.integration_events where external_id = 'w-1' $$,
    $$ select '20000000-0000-4000-8000-000000000001'::uuid, 'c-9', endpoint_id from any_type $$, 'with its wedding, under its endpoint');
select is((select occurred_at from automation_priv.outbox where event_type = 'visit.made'), '2031-05-01 10:00+00'::timestamptz, 'as of when it happened there');

-- ---- outbound
select is(automation.record_outbound('10000000-0000-4000-8000-000000000001', 'crm', 'stage.changed', '{"to": "booked"}', p_event_id => '60000000-0000-4000-8000-000000000001'),
    '60000000-0000-4000-8000-000000000001'::uuid);
select results_eq($$ select automation.settle_outbound('10000000-0000-4000-8000-000000000001', '60000000-0000-4000-8000-000000000001', e) from (values ('timed out'), (null), (null)) x(e) $$,
    array[true, true, false], 'failed, then sent, then final');
select results_eq($$ select status, attempts, error from automation.integration_events where event_id = '60000000-0000-4000-8000-000000000001' $$, $$ values ('sent', 2::smallint, null::text) $$,
    'in two attempts');
select is(automation.record_outbound('10000000-0000-4000-8000-000000000001', 'crm', 'stage.changed', '{"to": "lost"}', p_event_id => '60000000-0000-4000-8000-000000000001'),
    '60000000-0000-4000-8000-000000000001'::uuid, 'what is recorded again');
select is((select payload from automation.integration_events where event_id = '60000000-0000-4000-8000-000000000001'), '{"to": "booked"}', 'stays as it was');
select automation.record_outbound('10000000-0000-4000-8000-000000000001', 'crm', 'stage.changed', p_event_id => '60000000-0000-4000-8000-000000000002');
select is(automation.settle_outbound('10000000-0000-4000-8000-000000000002', '60000000-0000-4000-8000-000000000002'), false, 'nobody settles another tenant''s');
select is(automation.settle_outbound('10000000-0000-4000-8000-000000000001', (select event_id from automation.integration_events where external_id = 'w-1')), false, 'nor what came in');


-- ---- endpoints of other systems, for services that send: by an operator, and by a tenant's own people
create temp table outbound as select automation.open_outbound('10000000-0000-4000-8000-000000000001', 'crm', 'https://crm.example/hook?k=1', '{wedding.booked}', 'env:CRM_SECRET') as id;
select results_eq($$ select tenant_id, system, direction, url, secret_ref, events, active from automation.webhook_endpoints where endpoint_id = (select id from outbound) $$,
    $$ values ('10000000-0000-4000-8000-000000000001'::uuid, 'crm', 'outbound', 'https://crm.example/hook?k=1', 'env:CRM_SECRET', '{wedding.booked}'::text[], true) $$, 'an outbound endpoint');
select lives_ok($$ select automation.record_outbound('10000000-0000-4000-8000-000000000001', 'crm', 'wedding.booked', p_endpoint => (select id from outbound)) $$, 'that sends are noted under');
select throws_ok($$ select automation.record_outbound('10000000-0000-4000-8000-000000000002', 'crm', 'wedding.booked', p_endpoint => (select id from outbound)) $$, '22023',
    format('tenant 10000000-0000-4000-8000-000000000002 has no outbound endpoint %s', (select id from outbound)), 'by its own tenant only');
select throws_ok($$ select automation.record_outbound('10000000-0000-4000-8000-000000000002', 'crm', 'wedding.booked', p_wedding => '20000000-0000-4000-8000-0000000000ff') $$, '22023',
    'tenant 10000000-0000-4000-8000-000000000002 has no wedding 20000000-0000-4000-8000-0000000000ff', 'of its own weddings only');
create temp table refused_doors (i serial, call text, error text);
insert into refused_doors (call, error) values
('open_outbound(null, ''crm'', ''https://x.example'')', 'unknown tenant NULL'),
('open_outbound(%1$L, null, ''https://x.example'')', 'system NULL: expected a lower-case word such as stripe'),
('open_outbound(%1$L, ''crm'', null)', 'url of 0 characters: expected http:// or https://, a host without user or password, at most 2048 characters'),
('open_outbound(%1$L, ''crm'', ''ftp://x.example'')', 'url of 15 characters: expected http:// or https://, a host without user or password, at most 2048 characters'),
('open_outbound(%1$L, ''crm'', ''https://u:p@x.example'')', 'url of 21 characters: expected http:// or https://, a host without user or password, at most 2048 characters'),
('open_outbound(%1$L, ''crm'', ''https://x.example'', null)', 'event types: found NULL, expected lower-case words joined by dots, such as payment.received, or none for all'),
('open_outbound(%1$L, ''crm'', ''https://x.example'', array[''a.b'', null])', 'event types: found NULL, expected lower-case words joined by dots, such as payment.received, or none for all'),
('open_outbound(%1$L, ''crm'', ''https://x.example'', ''{Paid}'')', 'event types: found ''Paid'', expected lower-case words joined by dots, such as payment.received, or none for all'),
('open_outbound(%1$L, ''crm'', ''https://x.example'', ''{}'', ''whsec_+abc='')', 'secret_ref of 11 characters: expected the name under which the secret is kept, such as env:CRM_SECRET'),
('open_endpoint(null, ''crm'')', 'unknown tenant NULL'),
('open_endpoint(%1$L, ''CRM'')', 'system ''CRM'': expected a lower-case word such as stripe'),
('open_endpoint(%1$L, ''crm'', null)', 'event types: found NULL, expected lower-case words joined by dots, such as payment.received, or none for all'),
('sync_seen(null, ''crm'', ''wedding'', ''1'', ''{}'')', 'unknown tenant NULL'),
('sync_seen(%1$L, null, ''wedding'', ''1'', ''{}'')', 'system NULL: expected a lower-case word such as stripe'),
('sync_seen(%1$L, ''crm'', null, ''1'', ''{}'')', 'entity NULL: expected a lower-case word such as wedding'),
('sync_seen(%1$L, ''crm'', ''wedding'', null, ''{}'')', 'external id NULL: expected 1 to 200 characters, by which the row is known again'),
('sync_seen(%1$L, ''crm'', ''wedding'', ''1'', null)', 'what was seen of wedding ''1'': found NULL, expected JSON'),
('open_outbound(%1$L, ''crm'', ''https://x.example/'' || repeat(''x'', 2031))', 'url of 2049 characters: expected http:// or https://, a host without user or password, at most 2048 characters'),
('open_outbound(%1$L, ''crm'', ''https://x.example'', array[''a.'' || repeat(''b'', 63)])',
    'event types: found ''a.' || repeat('b', 63) || ''', expected lower-case words joined by dots, such as payment.received, or none for all'),
('record_outbound(%1$L, ''crm'', repeat(''a'', 65))', 'event type ''' || repeat('a', 65) || ''': expected 1 to 64 characters'),
('record_outbound(%1$L, ''crm'', ''a.b'', p_external_id => '''')', 'external id of 0 characters: expected 1 to 200'),
('record_outbound(%1$L, ''crm'', ''a.b'', p_correlation => repeat(''c'', 201))', 'correlation id of 201 characters: expected at most 200'),
('record_outbound(%1$L, ''crm'', ''a.b'', jsonb_build_object(''a'', repeat(''a'', 65536)))', 'event payload of 65553 bytes: expected at most 65536'),
('record_outbound(%1$L, ''portal'', ''a.b'', p_endpoint => (select endpoint_id from takes))', null),
('record_outbound(null, ''crm'', ''a.b'')', 'unknown tenant NULL'),
('record_outbound(%1$L, null, ''a.b'')', 'system NULL: expected a lower-case word such as stripe'),
('record_outbound(%1$L, ''crm'', null)', 'event type NULL: expected 1 to 64 characters'),
('record_outbound(%1$L, ''crm'', ''a.b'', null)', 'event payload: found NULL; expected an object'),
('record_outbound(%1$L, ''crm'', ''a.b'', ''[]'')', 'event payload: found array; expected an object'),
('settle_outbound(null, %1$L)', 'settle_outbound: the tenant is NULL, expected the id that record_outbound returned and its tenant'),
('settle_outbound(%1$L, null)', 'settle_outbound: the event id is NULL, expected the id that record_outbound returned and its tenant');
create function pg_temp.refused_doors() returns setof text language sql as $$
    select throws_ok(format('select automation.' || r.call, '10000000-0000-4000-8000-000000000001'), '22023', r.error, r.call) from refused_doors r order by r.i $$;
select pg_temp.refused_doors();
select is_empty($$ select from automation.external_sync_state where external_id = '1' $$, 'what is refused leaves nothing');

insert into automation.members (tenant_id, user_id, role) values ('10000000-0000-4000-8000-000000000001', '70000000-0000-4000-8000-000000000001', 'admin'),
    ('10000000-0000-4000-8000-000000000001', '70000000-0000-4000-8000-000000000002', 'member');
create function pg_temp.person(n integer) returns void language sql as $$ select set_config('request.jwt.claims', jsonb_build_object('sub', '70000000-0000-4000-8000-00000000000' || n,
    'app_metadata', jsonb_build_object('tenant_id', '10000000-0000-4000-8000-000000000001'))::text, true) $$;
grant select on outbound to authenticated;
select pg_temp.person(1);
set local role authenticated;
select lives_ok($$ select automation.open_own_outbound('mailer', 'https://mailer.example/in', '{a.b}') $$, 'an admin opens one');
select results_eq($$ select tenant_id, url, events from automation.webhook_endpoints where system = 'mailer' $$,
    $$ values ('10000000-0000-4000-8000-000000000001'::uuid, 'https://mailer.example/in', '{a.b}'::text[]) $$, 'of the own tenant');
select lives_ok($$ delete from automation.webhook_endpoints where system = 'mailer' $$, 'and closes it');
select throws_ok($$ select automation.open_outbound('10000000-0000-4000-8000-000000000002', 'crm', 'https://x.example') $$, '42501', null, 'the door that takes a tenant is closed');
select throws_ok($$ insert into automation.webhook_endpoints (tenant_id, system, direction, url) values ('10000000-0000-4000-8000-000000000001', 'x', 'outbound', 'https://x.example') $$,
    '42501', null, 'and so is the table');
reset role;
select pg_temp.person(2);
set local role authenticated;
select throws_ok($$ select automation.open_own_outbound('mailer', 'https://mailer.example/in') $$, '42501', 'this member''s role may not open endpoints: expected owner or admin');
reset role;
select pg_temp.person(3);
set local role authenticated;
select throws_ok($$ select automation.open_own_outbound('mailer', 'https://mailer.example/in') $$, '42501', 'no tenant: the token names none, or its user is no member of it');
reset role;
set local role service_role;
select lives_ok($$ select automation.open_outbound('10000000-0000-4000-8000-000000000002', 'crm', 'https://x.example') $$, 'services open it for any tenant');
reset role;

select * from finish();
rollback;
