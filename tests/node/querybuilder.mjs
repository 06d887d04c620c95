// querybuilder: what react-querybuilder's formatQuery emits is evaluated by the engine in strict mode as the query means, and parseJsonLogic
// takes it back: formatted again it is the same JsonLogic. Seeded; an own evaluator of queries says what they mean: three-valued, as strict
// mode is, so nothing but `null` and `notNull` is known of a field that is null.
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {isDeepStrictEqual} from 'node:util';

// The package that react-querybuilder takes both functions from; it needs no React.
const require = createRequire(process.env.USHER_NODE + '/');
const {formatQuery} = require('@react-querybuilder/core/formatQuery');
const {parseJsonLogic} = require('@react-querybuilder/core/parseJsonLogic');
const COUNT = Number(process.env.COUNT || 400);
let state = Number(process.env.SEED || 1) >>> 0;

// mulberry32: the same numbers for the same seed on every machine.
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

const statuses = ['inquiry', 'booked', 'planning', 'completed'];
const facts = () => ({
  wedding: {
    status: pick(statuses), package: pick(['basic', 'classic', 'grand', null]), guest_count: below(8) * 40,
    budget_cents: below(5) * 500000, title: pick(['Anna & Ben', 'Carla & Dan', 'Eva & Finn']),
    date: pick(['2026-05-02', '2026-08-15', '2026-10-31']), service_types: pick([['photo'], ['photo', 'film'], []]),
  },
  venue: {outdoor: random() < 0.5, city: pick(['Porto', 'Lisbon', 'Faro'])},
  project: {stage: pick(['new', 'booked', 'done']), tags: pick([['vip'], ['vip', 'late'], []])},
});
const get = (data, path) => path.split('.').reduce((at, key) => at[key], data);

const compare = ['=', '!=', '<', '<=', '>', '>='];
const fields = [
  {name: 'wedding.status', ops: ['=', '!=', 'in', 'notIn'], value: () => pick(statuses)},
  {name: 'wedding.package', ops: ['=', '!=', 'null', 'notNull'], value: () => pick(['basic', 'classic', 'grand'])},
  {name: 'wedding.guest_count', ops: [...compare, 'between', 'notBetween', 'in'], value: () => below(8) * 40},
  {name: 'wedding.budget_cents', ops: [...compare, 'between'], value: () => below(5) * 500000},
  {name: 'wedding.date', ops: [...compare, 'between'], value: () => pick(['2026-05-02', '2026-07-01', '2026-10-31'])},
  {name: 'wedding.title', ops: ['contains', 'beginsWith', 'endsWith', 'doesNotContain', 'doesNotBeginWith', 'doesNotEndWith', '='],
    value: () => pick(['Anna', 'Dan', 'Finn', '&', 'x'])},
  {name: 'venue.outdoor', ops: ['='], value: () => random() < 0.5},
  {name: 'venue.city', ops: ['=', '!=', 'in', 'notIn', 'beginsWith'], value: () => pick(['Porto', 'Lisbon', 'Faro', 'L'])},
  {name: 'project.tags', ops: ['contains', 'doesNotContain'], value: () => pick(['vip', 'late', 'none'])},
  {name: 'wedding.service_types', ops: ['contains'], value: () => pick(['photo', 'film'])},
];

function rule() {
  const f = pick(fields);
  const operator = pick(f.ops);
  let value = f.value();
  if (operator.endsWith('etween')) value = [f.value(), f.value()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  if (operator === 'in' || operator === 'notIn') value = Array.from({length: 1 + below(3)}, f.value);
  if (operator.endsWith('ull')) value = null;
  return {field: f.name, operator, value};
}

function group(depth) {
  const rules = Array.from({length: 1 + below(4)}, () => (depth > 0 && random() < 0.35 ? group(depth - 1) : rule()));
  return {combinator: pick(['and', 'or']), not: random() < 0.2, rules};
}

// true, false or null: unknown.
function means(q, data) {
  if (q.rules) {
    const all = q.rules.map((r) => means(r, data));
    const decides = q.combinator === 'or';
    const value = all.includes(decides) ? decides : all.includes(null) ? null : !decides;
    return q.not && value !== null ? !value : value;
  }
  const x = get(data, q.field);
  if (x === null && !q.operator.endsWith('ull')) return null;
  switch (q.operator) {
    case '=': return x === q.value;
    case '!=': return x !== q.value;
    case '<': return x < q.value;
    case '<=': return x <= q.value;
    case '>': return x > q.value;
    case '>=': return x >= q.value;
    case 'in': return q.value.includes(x);
    case 'notIn': return !q.value.includes(x);
    case 'null': return x === null;
    case 'notNull': return x !== null;
    case 'contains': return x.includes(q.value);
    case 'doesNotContain': return !x.includes(q.value);
    case 'beginsWith': return x.startsWith(q.value);
    case 'doesNotBeginWith': return !x.startsWith(q.value);
    case 'endsWith': return x.endsWith(q.value);
    case 'doesNotEndWith': return !x.endsWith(q.value);
    case 'between': return q.value[0] <= x && x <= q.value[1];
    case 'notBetween': return !(q.value[0] <= x && x <= q.value[1]);
  }
  throw new Error('no meaning for ' + q.operator);
}

const suite = [];
let unstable = 0;
const seen = new Map([[true, 0], [false, 0], [null, 0]]);
for (let i = 0; i < COUNT; i++) {
  const query = group(3);
  const logic = formatQuery(query, 'jsonlogic');
  // Without listsAsArrays the lists of `in` become texts, and numbers in them with it.
  const again = formatQuery(parseJsonLogic(logic, {listsAsArrays: true}), 'jsonlogic');
  if (!isDeepStrictEqual(again, logic)) {
    unstable++;
    console.log(`querybuilder: not the same after a round trip: ${JSON.stringify(logic)} -> ${JSON.stringify(again)}`);
  }
  for (let n = 0; n < 3; n++) {
    const data = facts();
    const result = means(query, data);
    seen.set(result, seen.get(result) + 1);
    suite.push({description: `query ${i} on facts ${n}`, rule: again, data, result});
  }
}

const folder = mkdtempSync(join(tmpdir(), 'usher-querybuilder-'));
let failed = unstable;
try {
  const path = join(folder, 'suite.json');
  writeFileSync(path, JSON.stringify(suite));
  execFileSync(join(process.env.USHER_BIN, 'usher-conformance'), [path, '--mode', 'strict'], {encoding: 'utf8'});
} catch (e) {
  if (e.status === undefined || e.status === null) throw e;
  failed++;
  console.log(String(e.stdout).split('\n').slice(-12).join('\n'));
} finally {
  rmSync(folder, {recursive: true});
}
const counts = `${seen.get(true)} true, ${seen.get(false)} false, ${seen.get(null)} unknown`;
console.log(`querybuilder: ${COUNT} queries on ${suite.length} facts (${counts}), ${failed === 0 ? 'all' : 'NOT all'} as they mean, ${unstable} unstable`);
process.exit(failed ? 1 : 0);
