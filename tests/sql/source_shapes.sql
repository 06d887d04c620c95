-- The host's users, forms and payments, shaped unlike ours.
begin;
select plan(37);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');
create schema auth;
create schema host;
create schema crm;
create type crm.level as enum ('boss', 'staff', 'guest');
create domain crm.address as text not null check (value like '%@%');
create table crm.companies (slug varchar(20) primary key, automation_tenant text);
insert into crm.companies values ('one', '10000000-0000-4000-8000-000000000001'), ('two', '10000000-0000-4000-8000-000000000002');
create function pg_temp.user(n integer) returns uuid language sql as $$ select ('70000000-0000-4000-8000-00000000000' || n)::uuid $$;

-- ---- users: one row a user, under the id of its token, with an enum and a domain that takes no null
create table host.profiles (id uuid primary key, company varchar(20), level crm.level, mail crm.address, name text);
insert into host.profiles select pg_temp.user(i), 'one', 'staff', i || '@example.org', 'User ' || i from generate_series(1, 3) i;
select lives_ok($$ select automation.attach_source('host.profiles', '{"into": "members", "tenant": {"column": "company", "lookup": {"table": "crm.companies", "key": "slug", "value": "automation_tenant"}},
    "where": {"column": "level", "in": ["boss", "staff"]}, "columns": {"role": {"column": "level", "map": {"boss": "owner"}, "default": "member"}}}') $$, 'users by their own id');
select results_eq($$ select tenant_id, user_id, role from automation.members order by 2 $$,
    $$ select '10000000-0000-4000-8000-000000000001'::uuid, pg_temp.user(i), 'member' from generate_series(1, 3) i $$, 'are members');
update host.profiles set level = 'boss' where id = pg_temp.user(1);
update host.profiles set level = 'guest' where id = pg_temp.user(2);
update host.profiles set company = 'two' where id = pg_temp.user(3);
select results_eq($$ select right(tenant_id::text, 1), right(user_id::text, 1), role from automation.members order by 2 $$,
    $$ values ('1', '1', 'owner'), ('2', '3', 'member') $$, 'promoted, dismissed, moved');
select set_config('request.jwt.claims', jsonb_build_object('sub', pg_temp.user(3), 'app_metadata', jsonb_build_object('tenant_id', '10000000-0000-4000-8000-000000000002'))::text, true);
select is(automation.jwt_tenant(), '10000000-0000-4000-8000-000000000002'::uuid, 'their tokens are good at once');
delete from host.profiles where id = pg_temp.user(3);
select is(automation.jwt_tenant(), null, 'and no more when they are gone');
select automation.detach_source('host.profiles');
delete from automation.members;

-- ---- users: a table of memberships, some of people who have no login yet
create table host.memberships (nr serial primary key, company varchar(20), login text, boss boolean);
select lives_ok($$ select automation.attach_source('host.memberships', '{"into": "members", "user": "login", "where": {"column": "login", "null": false},
    "tenant": {"column": "company", "lookup": {"table": "crm.companies", "key": "slug", "value": "automation_tenant"}},
    "columns": {"role": {"column": "boss", "map": {"true": "admin"}, "default": "member"}}}') $$, 'users by a column of memberships');
insert into host.memberships (company, login, boss) values ('one', pg_temp.user(1)::text, true), ('two', pg_temp.user(1)::text, false), ('one', null, false);
select results_eq($$ select right(tenant_id::text, 1), role from automation.members order by 1 $$, $$ values ('1', 'admin'), ('2', 'member') $$, 'one user of two tenants');
update host.memberships set login = pg_temp.user(2)::text where login is null;
delete from host.memberships where company = 'two';
select results_eq($$ select right(tenant_id::text, 1), right(user_id::text, 1), role from automation.members order by 2 $$, $$ values ('1', '1', 'admin'), ('1', '2', 'member') $$, 'who joins and who leaves');
select lives_ok($$ insert into host.memberships (company, login) values ('one', 'no uuid'), ('one', pg_temp.user(4)::text) $$, 'a login that is none');
select results_eq($$ select e.sqlstate, e.new_row ->> 'login' from automation_priv.source_errors e $$, $$ values ('22P02', 'no uuid') $$, 'is noted');
select is((select count(*) from automation.members), 3::bigint, 'beside those that are');

-- ---- weddings for what follows: named by a word
create table crm.deals (slug text primary key, company varchar(20), couple text);
select lives_ok($$ select automation.attach_source('crm.deals', '{"into": "weddings", "tenant": {"column": "company", "lookup": {"table": "crm.companies", "key": "slug", "value": "automation_tenant"}},
    "columns": {"title": "couple", "time_zone": {"value": "UTC"}}}') $$, 'weddings that a word names');
insert into crm.deals values ('ana-rui', 'one', 'Ana & Rui'), ('bea-tom', 'two', 'Bea & Tom');
create function pg_temp.facts(p_slug text, variadic p_path text[]) returns jsonb language sql as $$
    select w.attributes #> p_path from automation.weddings w where w.wedding_id = automation_priv.derive('host', 'crm.deals', p_slug) $$;

-- ---- forms: their list, and responses that name form and wedding by words, the answers in a blob
create table host.surveys (id bigserial primary key, company varchar(20), slug text, caption text);
select lives_ok($$ select automation.attach_source('host.surveys', '{"into": "forms", "tenant": {"column": "company", "lookup": {"table": "crm.companies", "key": "slug", "value": "automation_tenant"}},
    "columns": {"name": "slug", "title": "caption"}}') $$, 'forms');
insert into host.surveys (company, slug, caption) values ('one', 'timeline', 'Your timeline'), ('one', 'Bad Slug', 'x'), ('two', 'music', null);
select results_eq($$ select right(tenant_id::text, 1), name, title from automation.forms order by 1 $$, $$ values ('1', 'timeline', 'Your timeline'), ('2', 'music', null) $$, 'are listed, but for a name that rules can not have');
update host.surveys set slug = 'day_plan' where slug = 'timeline';
select results_eq($$ select name from automation.forms order by 1 $$, array['day_plan', 'music'], 'a form that is renamed');
delete from host.surveys where slug = 'day_plan';
select results_eq($$ select name from automation.forms order by 1 $$, array['music'], 'and one that is gone');
create table host.submissions (token text, deal text, form text, received timestamptz, answers json, primary key (deal, form));
select lives_ok($$ select automation.attach_source('host.submissions', '{"into": "attributes", "tenant": {"value": "10000000-0000-4000-8000-000000000001"}, "wedding": {"column": "deal", "of": "crm.deals"},
    "where": {"column": "received", "null": false},
    "columns": {"forms.{form}.submitted_at": "received", "forms.{form}.guests": {"column": "answers", "path": "guests"}},
    "events": [{"on": "insert", "type": "form.submitted", "payload": {"form_slug": "form"}}]}') $$, 'responses, each under the name of its form');
insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('10000000-0000-4000-8000-000000000001', gen_random_uuid(), 'r', 'active',
    '{"schema_version": 1, "name": "r", "trigger": {"type": "manual"}, "actions": [{"type": "stop"}]}');
insert into host.submissions values ('t1', 'ana-rui', 'timeline', '2031-01-02 10:00+00', '{"guests": 80}'), ('t2', 'ana-rui', 'Vendor Questionnaire', '2031-01-03 10:00+00', '{}'),
    ('t3', 'ana-rui', 'menu', null, '{}');
select is(pg_temp.facts('ana-rui', 'forms'), '{"timeline": {"submitted_at": "2031-01-02T10:00:00+00:00", "guests": 80},
    "vendor_questionnaire": {"submitted_at": "2031-01-03T10:00:00+00:00", "guests": null}}', 'two of a statement, both on their wedding');
select is((select automation_priv.facts('10000000-0000-4000-8000-000000000001', automation_priv.derive('host', 'crm.deals', 'ana-rui'), now()) #>> '{forms,timeline,guests}'), '80',
    'where rules find them');
select results_eq($$ select payload ->> 'form_slug', wedding_id from automation_priv.outbox where event_type = 'form.submitted' order by 1 $$,
    $$ select x, automation_priv.derive('host', 'crm.deals', 'ana-rui') from unnest(array['timeline', 'Vendor Questionnaire']) x order by 1 $$, 'each with its event');
update host.submissions set answers = '{"guests": 90}' where form = 'timeline';
select is(pg_temp.facts('ana-rui', 'forms', 'timeline', 'guests'), '90', 'a response that is edited');
delete from host.submissions where form = 'timeline';
select is(pg_temp.facts('ana-rui', 'forms', 'timeline', 'guests'), '90', 'and what was answered stays');
delete from automation_priv.source_errors;
select lives_ok($$ insert into host.submissions values ('t5', 'ana-rui', '2031', now(), '{}') $$, 'a form whose name is none');
select results_eq($$ select message from automation_priv.source_errors $$, array['found ''2031'', expected a text that makes a name: a letter, then letters and digits'], 'is noted');

-- ---- payments: an installment a row, several of one wedding in one statement; a ledger that is partitioned and has no key
create table host.installments (deal text, label text, cents bigint, paid boolean default false, due date) partition by list (paid);
create table host.installments_open partition of host.installments for values in (false);
create table host.installments_paid partition of host.installments for values in (true);
select lives_ok($$ select automation.attach_source('host.installments', '{"into": "attributes", "key": ["deal", "label"], "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "wedding": {"column": "deal", "of": "crm.deals"},
    "columns": {"payments.{label}.amount": {"column": "cents", "times": 0.01}, "payments.{label}.paid": "paid", "payments.{label}.due_on": "due"},
    "events": [{"on": "update", "column": "paid", "to": true, "type": "payment.received", "payload": {"installment": "label"}}]}') $$, 'installments of a partitioned table without a key');
insert into host.installments (deal, label, cents, due) values ('ana-rui', 'Deposit', 50000, '2031-01-01'), ('ana-rui', 'Final payment', 250050, '2031-05-01');
select is(pg_temp.facts('ana-rui', 'payments'), '{"deposit": {"amount": 500.00, "paid": false, "due_on": "2031-01-01"}, "final_payment": {"amount": 2500.50, "paid": false, "due_on": "2031-05-01"}}',
    'each under its label');
delete from automation_priv.outbox;
update host.installments set paid = true where label = 'Deposit';
select is(pg_temp.facts('ana-rui', 'payments', 'deposit', 'paid'), 'true', 'a row that moves to another partition');
select results_eq($$ select event_type, payload ->> 'installment' from automation_priv.outbox where event_type like 'payment%' $$, $$ values ('payment.received', 'Deposit') $$, 'is an update with its event');

-- ---- stages
create table host.columns (id integer primary key, title text, nr smallint);
select lives_ok($$ select automation.attach_source('host.columns', '{"into": "stages", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "columns": {"name": "title", "title": "title", "position": "nr"}}') $$, 'stages of a board');
insert into host.columns values (1, 'inquiry', 1), (2, 'proposal', 2);
select results_eq($$ select name, position from automation.stages order by 2 $$, $$ values ('inquiry', 1), ('proposal', 2) $$, 'in their order');
select is_empty($$ select from automation_priv.sources where state = 'off' $$, 'all sources are on');

-- ---- written by those who may write the host's table and nothing of ours, under the host's own policies
grant authenticated to current_user;
grant usage on schema host to authenticated;
grant all on all tables in schema host to authenticated;
alter table host.columns enable row level security;
create policy own on host.columns for all to authenticated using (nr > 1) with check (nr > 1);
select set_config('request.jwt.claims', '', true);
set local role authenticated;
select lives_ok($$ insert into host.columns values (3, 'contract', 3) $$, 'a person of the host''s inserts');
select lives_ok($$ update host.columns set nr = nr + 1 $$, 'updates what its policies show');
select throws_ok($$ select automation.repair_source('host.columns') $$, '42501', null, 'and may do nothing with the source');
reset role;
select results_eq($$ select name, position from automation.stages order by 2 $$, $$ values ('inquiry', 1), ('proposal', 3), ('contract', 4) $$, 'which is projected');
select is(automation.repair_source('host.columns'), 0, 'a repair sees all rows');
select is((select count(*) from automation.stages), 3::bigint, 'and takes none for gone');
select * from finish();
rollback;
