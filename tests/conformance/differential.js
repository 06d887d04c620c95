// differential: writes a suite of random rules with what json-logic-js, the reference, makes of them.
//
//     node differential.js COUNT SEED > suite.json
//
// The suite is then run by usher-conformance in jsonlogic mode: every difference is one of ours, or is listed here. Left out on purpose:
//  - names of Object.prototype as keys ("constructor"): JavaScript answers with a function, which JSON can not say;
//  - non-BMP characters: a surrogate pair cut in two is no valid text;
//  - objects in data that look like rules: json-logic-js applies `missing` and `missing_some` to data as to rules.
'use strict';

const jsonLogic = require(process.env.JSON_LOGIC_JS || 'json-logic-js');
const count = Number(process.argv[2] || 20000);
let state = Number(process.argv[3] || 1) >>> 0;

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

const numbers = [0, 1, -1, 2, 3, 10, 0.5, -2.5, 1e21, 1e-7, 123456789012, 0.1, 1.005, -0.000001, 4294967296, 9007199254740991];
const strings = ['', 'a', 'b', 'abc', '1', '-1', '01', ' 12 ', '1.5', '0x1F', '1e3', 'Infinity', 'null', 'undefined', 'true', 'NaN',
  'wedding', 'jsonlogic', 'é', 'ünïcode', '日本語', '12abc', '.5', '5.', '+3', '1,2', '[object Object]', '\u00a01', '0b11', '1_0', '-0', '\ufeff7'];
const names = ['a', 'b', 'c', 'items', 'x', 'name', 'qty'];
const paths = ['a', 'b', 'c', 'x', 'items', 'name', 'qty', 'a.b', 'a.b.c', 'items.0', 'items.1.qty', 'x.length', 'name.0', 'items.length', '',
  'current', 'accumulator', 'current.qty', '0', '1', 'a.', '.a', 'items.01', 'nope', 'nope.b', 'b.0.a', 'name.-1'];

const scalar = () => pick([() => pick(numbers), () => pick(numbers), () => pick(strings), () => pick(strings), () => random() < 0.5, () => null])();

function datum(depth) {
  const r = random();
  if (depth <= 0 || r < 0.45) return scalar();
  if (r < 0.7) return Array.from({length: below(4)}, () => datum(depth - 1));
  const out = {};
  // Never one key alone: see above.
  for (const k of names) if (random() < 0.5) out[k] = datum(depth - 1);
  const keys = Object.keys(out);
  if (keys.length === 1) out[keys[0] === 'a' ? 'b' : 'a'] = scalar();
  return out;
}

const plain = ['==', '===', '!=', '!==', '<', '<=', '>', '>=', '!', '!!', '%', 'in', 'cat', 'substr', '+', '*', '-', '/', 'min', 'max', 'merge', 'log',
  'and', 'or', 'if', '?:'];
const iterators = ['map', 'filter', 'all', 'some', 'none'];

function args(depth, n) {
  const list = Array.from({length: n}, () => rule(depth - 1));
  return n === 1 && random() < 0.4 && !Array.isArray(list[0]) ? list[0] : list;
}

function rule(depth) {
  const r = random();
  if (depth <= 0 || r < 0.12) return r < 0.02 ? Array.from({length: below(3)}, scalar) : scalar();
  if (r < 0.18) return Array.from({length: below(4)}, () => rule(depth - 1));
  if (r < 0.2) return random() < 0.5 ? {} : {a: scalar(), b: scalar()};
  if (r < 0.4) {
    const p = random() < 0.9 ? pick(paths) : rule(depth - 1);
    return pick([{var: p}, {var: [p]}, {var: [p, scalar()]}, {var: [p, rule(depth - 1)]}]);
  }
  if (r < 0.55) return {[pick(iterators)]: [random() < 0.6 ? {var: pick(['items', 'b', 'a', 'x'])} : rule(depth - 1), rule(depth - 1)]};
  if (r < 0.6) {
    const list = [random() < 0.6 ? {var: 'items'} : rule(depth - 1), rule(depth - 1)];
    if (random() < 0.7) list.push(rule(depth - 1));
    return {reduce: list};
  }
  if (r < 0.64) return {missing: random() < 0.5 ? Array.from({length: below(4)}, () => pick(paths)) : rule(depth - 1)};
  if (r < 0.67) return {missing_some: [below(3), Array.from({length: below(4)}, () => pick(paths))]};
  if (r < 0.672) return {nonsense: [scalar()]};
  return {[pick(plain)]: args(depth, pick([0, 1, 1, 2, 2, 2, 2, 2, 3, 4]))};
}

console.log = () => {}; // for {"log": …}
const suite = [];
for (let i = 0; i < count; i++) {
  const r = rule(4);
  const d = datum(3);
  const c = {description: 'case ' + i, rule: r, data: d};
  try {
    const value = jsonLogic.apply(r, d);
    c.result = value === undefined ? null : value;
  } catch (e) {
    c.error = {};
  }
  suite.push(JSON.stringify(c));
}
process.stdout.write('[\n' + suite.join(',\n') + '\n]\n');
