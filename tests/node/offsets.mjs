// offsets: random anchors and offsets, as the engine's text reader (C) and automation_priv.instant (SQL) take them together, give luxon's
// instants; and the engine's calendar gives luxon's dates. Ambiguous local times are left out: there we take PostgreSQL's choice, the second,
// and luxon makes no promise. Missing local times stay in. SEED=n COUNT=n play others.
import {execFileSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {join} from 'node:path';

const {DateTime, Duration} = createRequire(process.env.USHER_NODE + '/')('luxon');
const SEED = Number(process.env.SEED ?? 1);
const COUNT = Number(process.env.COUNT ?? 12000);
const ZONES = ['Europe/Lisbon', 'Europe/Berlin', 'Europe/London', 'Europe/Dublin', 'America/New_York', 'America/Los_Angeles', 'America/St_Johns',
  'America/Sao_Paulo', 'America/Havana', 'America/Santiago', 'Australia/Sydney', 'Australia/Lord_Howe', 'Australia/Adelaide',
  'Pacific/Auckland', 'Pacific/Chatham', 'Pacific/Apia', 'Asia/Kathmandu', 'Asia/Tokyo', 'Asia/Kolkata', 'Africa/Cairo', 'UTC'];
const [FROM_YEAR, YEARS] = [2024, 12]; // the rules of these zones have not changed since; the two time zone databases agree

// mulberry32, public domain: the same numbers everywhere.
let state = SEED >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const two = (n) => String(n).padStart(2, '0');
const FIELDS = ['year', 'month', 'day', 'hour', 'minute'];
const fields = (t) => Object.fromEntries(FIELDS.map((f) => [f, t[f]]));

// The dates on which a zone's clocks change: found by looking, once a zone.
const changes = Object.fromEntries(ZONES.map((zone) => {
  const dates = [];
  for (let t = DateTime.fromObject({year: FROM_YEAR, hour: 12}, {zone}); t.year < FROM_YEAR + YEARS; t = t.plus({days: 1}))
    if (t.offset !== t.minus({days: 1}).offset) dates.push(t);
  return [zone, dates];
}));

function date(zone) {
  const kind = below(8);
  if (kind < 3 && changes[zone].length > 0) return pick(changes[zone]).setZone('UTC', {keepLocalTime: true}).plus({days: below(3) - 1});
  if (kind === 3) return DateTime.utc(pick([2024, 2028, 2032]), 2, 29);
  if (kind === 4) return DateTime.utc(FROM_YEAR + below(YEARS), 1 + below(12), 1).endOf('month').startOf('day');
  return DateTime.utc(FROM_YEAR + below(YEARS), 1 + below(12), 1 + below(28));
}
// Half of all times lie where clocks change, or near.
const time = () => [random() < 0.5 ? below(4) : below(24), pick([0, 15, 30, 45, below(60)])];

function offset() {
  let text = '';
  const nominal = below(8);
  if (nominal === 1 || nominal === 6) text += `${below(30)}M`;
  if (nominal === 2) text += `${1 + below(3)}Y`;
  if (nominal === 3 || nominal === 6) text += `${below(60)}W`;
  if (nominal >= 4) text += `${below(400)}D`;
  const exact = random() < 0.4 || text === '';
  if (exact) text += pick([`T${below(80)}H`, `T${below(3000)}M`, `T${below(30)}H${below(60)}M${below(60)}S`, 'T24H', 'T720H']);
  return {text: (random() < 0.6 ? '-' : '') + 'P' + text, exact};
}

// Where local fields are read: not ambiguous, or null.
function clear(f, zone) {
  const t = DateTime.fromObject(f, {zone});
  return t.getPossibleOffsets().length > 1 ? null : t;
}

// Of a day that lasts as long as the clocks say, luxon knows by itself; of local times it is only asked for the zone's offset.
function expect(c) {
  const sign = c.text[0] === '-' ? -1 : 1;
  const length = Duration.fromISO(sign < 0 ? c.text.slice(1) : c.text);
  const shift = Object.fromEntries(['years', 'months', 'weeks', 'days'].map((u) => [u, sign * length[u]]));
  c.date = c.anchor.plus(shift);
  const [hour, minute] = c.exact ? c.time : c.at;
  const local = clear({...fields(c.date), hour, minute}, c.zone);
  if (!local) return false;
  c.millis = local.plus({seconds: c.exact ? sign * (length.hours * 3600 + length.minutes * 60 + length.seconds) : 0}).toMillis();
  c.missing = local.hour !== hour || local.minute !== minute;
  return true;
}

const cases = [];
while (cases.length < COUNT) {
  const c = {zone: ZONES[cases.length % ZONES.length], ...offset()};
  c.anchor = date(c.zone);
  c.time = time();
  c.at = time();
  if (random() < 0.5 && !c.exact && changes[c.zone].length > 0) { // an offset in days that ends where clocks change
    const days = below(400) - 200;
    c.anchor = pick(changes[c.zone]).setZone('UTC', {keepLocalTime: true}).startOf('day').minus({days});
    c.text = `${days < 0 ? '-' : ''}P${Math.abs(days)}D`;
    c.at[0] = below(4);
  }
  if (expect(c)) cases.push(c);
}

const parsed = execFileSync(join(process.env.USHER_BIN, 'usher-conformance'), ['--offsets'],
  {input: cases.map((c) => `${c.anchor.toISODate()} ${c.text}\n`).join(''), encoding: 'utf8'}).trim().split('\n').map((l) => l.split(' '));
const rows = cases.map((c, i) => {
  const [months, days, seconds, exact] = parsed[i];
  const at = exact === '1' ? '\\N' : c.at.map(two).join(':');
  return [i, c.anchor.toISODate(), c.time.map(two).join(':'), c.zone, months, days, seconds, at].join('\t');
});
const found = execFileSync('psql', ['-qAtX', '-v', 'ON_ERROR_STOP=1', '-d', process.env.USHER_TEST_DATABASE_URL], {encoding: 'utf8', maxBuffer: 2 ** 24, input: `
create temporary table c (i int, d date, t time, zone text, months int, days int, seconds bigint, at time);
copy c from stdin;
${rows.join('\n')}
\\.
select (extract(epoch from automation_priv.instant(d, t, zone, months, days, seconds, at)) * 1000)::bigint from c order by i;
`}).trim().split('\n');

let failed = 0;
const report = (c, what, ours, theirs) => {
  if (failed++ < 10) console.log(`offsets: ${c.anchor.toISODate()} ${c.exact ? c.time : c.at} ${c.zone} ${c.text}: ${what} ${ours}, luxon ${theirs}`);
};
cases.forEach((c, i) => {
  if (parsed[i][4] !== c.date.toISODate()) report(c, 'date', parsed[i][4], c.date.toISODate());
  else if ((parsed[i][3] === '1') !== c.exact) report(c, 'exact', parsed[i][3], c.exact);
  else if (Number(found[i]) !== c.millis) report(c, 'instant', new Date(Number(found[i])).toISOString(), new Date(c.millis).toISOString());
});
// Without these the test could pass and say nothing.
const tally = {
  'missing local times': cases.filter((c) => c.missing).length,
  'exact offsets': cases.filter((c) => c.exact).length,
  'clamped months': cases.filter((c) => /M|Y/.test(c.text.split('T')[0]) && c.anchor.day > 28).length,
  'leap days': cases.filter((c) => c.anchor.day === 29 && c.anchor.month === 2).length,
  'days of a change': cases.filter((c) => changes[c.zone].some((t) => t.toISODate() === c.date.toISODate())).length,
};
for (const [what, n] of Object.entries(tally)) if (n < COUNT / 100) { failed++; console.log(`offsets: only ${n} ${what}`); }
console.log(`offsets: ${cases.length} cases in ${ZONES.length} zones (${Object.entries(tally).map(([k, n]) => `${n} ${k}`).join(', ')}), seed ${SEED}, ${failed} failed`);
process.exit(failed ? 1 : 0);
