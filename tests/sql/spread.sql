-- Where a run begins that is moved on from its planned moment: never earlier, within its span, the window, the local day and before the milestone.
begin;
select plan(14);

insert into automation.tenants (tenant_id, name, time_zone) values ('10000000-0000-4000-8000-000000000001', 'Studio', 'America/New_York');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, ceremony_time)
values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon', '2031-06-14', '15:00');

create temporary table cases (what text, spec jsonb, planned timestamptz, due timestamptz);
insert into cases values
    ('the first begins at once', '{"share": 0, "seconds": 600, "herd": 0, "until": 1440, "zone": "wedding"}', '2031-05-15 08:00+00', '2031-05-15 08:00+00'),
    ('half of the span', '{"share": 500000, "seconds": 600, "herd": 0, "until": 1440, "zone": "wedding"}', '2031-05-15 08:00+00', '2031-05-15 08:05+00'),
    ('the last one stays within it', '{"share": 999999, "seconds": 600, "herd": 0, "until": 1440, "zone": "wedding"}', '2031-05-15 08:00+00', '2031-05-15 08:09:59+00'),
    ('the window shortens the span', '{"share": 500000, "seconds": 3600, "herd": 0, "until": 1140, "zone": "wedding"}', '2031-05-15 17:50+00', '2031-05-15 17:55+00'),
    ('in the tenant''s zone', '{"share": 500000, "seconds": 3600, "herd": 0, "until": 1140, "zone": "tenant"}', '2031-05-15 22:50+00', '2031-05-15 22:55+00'),
    ('outside of its window it stays', '{"share": 999999, "seconds": 3600, "herd": 0, "until": 1140, "zone": "wedding"}', '2031-05-15 18:30+00', '2031-05-15 18:30+00'),
    ('so does the day', '{"share": 999999, "seconds": 3600, "herd": 0, "until": 1440, "zone": "wedding"}', '2031-05-15 22:59+00', '2031-05-15 22:59:59+00'),
    ('and the milestone', '{"share": 500000, "seconds": 3600, "herd": 0, "until": 1440, "zone": "wedding", "limit": "ceremony"}', '2031-06-14 13:40+00', '2031-06-14 13:50+00'),
    ('a herd widens it', '{"share": 500000, "seconds": 600, "herd": 1800, "until": 1440, "zone": "wedding", "limit": "ceremony"}', '2031-06-13 08:00+00', '2031-06-13 08:15+00'),
    ('not for what must be done within twelve hours', '{"share": 500000, "seconds": 0, "herd": 1800, "until": 1440, "zone": "wedding", "limit": "ceremony"}', '2031-06-14 02:01+00', '2031-06-14 02:01+00'),
    ('a milestone of an earlier year is no limit', '{"share": 500000, "seconds": 600, "herd": 0, "until": 1440, "zone": "wedding", "limit": "ceremony"}', '2032-05-15 08:00+00', '2032-05-15 08:05+00'),
    ('whose own span stays', '{"share": 500000, "seconds": 600, "herd": 1800, "until": 1440, "zone": "wedding", "limit": "ceremony"}', '2031-06-14 02:01+00', '2031-06-14 02:06+00'),
    ('each year has its own', '{"share": 500000, "seconds": 3600, "herd": 0, "until": 1440, "zone": "wedding", "limit": "ceremony", "yearly": true}', '2033-06-14 13:40+00', '2033-06-14 13:50+00'),
    ('and after it the next one''s', '{"share": 500000, "seconds": 3600, "herd": 0, "until": 1440, "zone": "wedding", "limit": "ceremony", "yearly": true}', '2033-06-14 14:40+00', '2033-06-14 15:10+00');
select is(automation_priv.spread_due('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', c.spec, c.planned), c.due, c.what) from cases c;

select * from finish();
rollback;
