// schema: examples/rule.schema.json and the engine's validator agree: both accept the season's rules, both refuse every mutant.
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const {Ajv2020} = createRequire(process.env.USHER_NODE + '/')('ajv/dist/2020');
const root = new URL('../../', import.meta.url).pathname;
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
// strictRequired and strictTypes are about style: `required` may stand apart from `properties`.
const validate = new Ajv2020({strict: true, strictRequired: false, strictTypes: false, allErrors: true}).compile(
  read(join(root, 'examples/rule.schema.json')));

const base = () => ({
  schema_version: 1,
  name: 'n',
  trigger: {type: 'milestone', milestone: 'ceremony', offset: '-P7D', at: '10:00'},
  conditions: {'>': [{var: 'wedding.guest_count'}, 30]},
  actions: [
    {id: 'a', type: 'send_email', params: {to: 'client', subject: 's', text: 't'}},
    {id: 'w', type: 'wait', until: {event: 'form.submitted', timeout: 'P1D'}},
    {type: 'branch', if: {var: 'steps.w.timed_out'}, then: [{type: 'create_task', params: {title: 't', due: 'P1D'}}]},
  ],
  settings: {late: {policy: 'skip', grace: 'P1D'}, priority: 5},
});

// Each changes one thing that neither may accept.
const mutants = {
  'no version': (r) => delete r.schema_version,
  'another version': (r) => (r.schema_version = 2),
  'empty name': (r) => (r.name = ''),
  'unknown member': (r) => (r.acitons = []),
  'no trigger': (r) => delete r.trigger,
  'trigger that is not built': (r) => (r.trigger = {type: 'schedule'}),
  'milestone of no wedding': (r) => (r.trigger.milestone = 'divorce'),
  'offset in words': (r) => (r.trigger.offset = '7 days'),
  'offset without parts': (r) => (r.trigger.offset = 'P'),
  'time in words': (r) => (r.trigger.at = '9 am'),
  'local time with hours': (r) => (r.trigger.offset = '-PT2H'),
  'hours from a date': (r) => (r.trigger = {type: 'milestone', milestone: 'gallery_due', offset: 'PT2H'}),
  'event without dot': (r) => (r.trigger = {type: 'event', event: 'signed'}),
  'event in another zone': (r) => (r.trigger = {type: 'event', event: 'a.b', time_zone: 'tenant'}),
  'operator that is none': (r) => (r.conditions = {eq: [1, 2]}),
  'two operators': (r) => (r.conditions = {'==': [1, 1], '!=': [1, 2]}),
  'no actions': (r) => (r.actions = []),
  'action that is not built': (r) => (r.actions[0].type = 'send_sms'),
  'action without type': (r) => delete r.actions[0].type,
  'id with a dot': (r) => (r.actions[0].id = 'a.b'),
  'approval in words': (r) => (r.actions[0].requires_approval = 'yes'),
  'parameter missing': (r) => delete r.actions[0].params.subject,
  'parameter unknown': (r) => (r.actions[0].params.cc = 'x'),
  'template beside a text': (r) => (r.actions[0].params.template = 'x'),
  'template of no name': (r) => (r.actions[0].params = {to: 'client', template: 'Two words'}),
  'wait without timeout': (r) => delete r.actions[1].until.timeout,
  'wait for nothing': (r) => delete r.actions[1].until,
  'wait of no length': (r) => (r.actions[1] = {id: 'w', type: 'wait', for: 'P0D'}),
  'branch without list': (r) => delete r.actions[2].then,
  'branch with empty list': (r) => (r.actions[2].then = []),
  'fault inside a branch': (r) => (r.actions[2].then[0].params.due = '-P1D'),
  'host from a template': (r) => (r.actions[0] = {type: 'call_webhook', params: {url: 'https://{{host}}/'}}),
  'column that rules may not set': (r) => (r.actions[0] = {type: 'set_field', params: {path: 'wedding.status', value: 1}}),
  'send window without an end': (r) => (r.settings.send_window = {from: '09:00'}),
  'change of date unknown': (r) => (r.settings.on_date_change = 'again'),
  'jitter too long': (r) => (r.settings.jitter = 'PT2H'),
  'jitter in days': (r) => (r.settings.jitter = 'P1D'),
  'smear no boolean': (r) => (r.settings.smear = 'no'),
  'mode unknown': (r) => (r.settings.mode = 'queue'),
  'negative grace': (r) => (r.settings.late.grace = '-P1D'),
  'priority out of range': (r) => (r.settings.priority = 1001),
};

const folder = mkdtempSync(join(tmpdir(), 'usher-schema-'));
let failed = 0;
const fail = (what) => { failed++; console.log('schema: ' + what); };

function engine(rules) {
  const paths = Object.entries(rules).map(([name, rule]) => {
    const path = join(folder, name.replaceAll(' ', '_') + '.json');
    writeFileSync(path, JSON.stringify(rule));
    return path;
  });
  let out;
  try {
    out = execFileSync(join(process.env.USHER_BIN, 'usher'), ['rule', 'check', '--json', ...paths], {encoding: 'utf8'});
  } catch (e) {
    if (e.status !== 1) throw e;
    out = e.stdout;
  }
  const rows = JSON.parse(out).filter((row) => row.level === 'error');
  return new Set(rows.map((row) => row.file));
}

const season = join(root, 'examples/season/rules');
const good = Object.fromEntries(readdirSync(season).map((file) => [file, read(join(season, file))]));
good['the base of all mutants'] = base();
const bad = Object.fromEntries(Object.entries(mutants).map(([name, change]) => {
  const rule = base();
  change(rule);
  return [name, rule];
}));

try {
  for (const [name, rule] of Object.entries(good))
    if (!validate(rule)) fail(`refuses ${name}: ${JSON.stringify(validate.errors.slice(0, 3))}`);
  for (const [name, rule] of Object.entries(bad)) if (validate(rule)) fail(`accepts: ${name}`);
  if (engine(good).size !== 0) fail('the engine refuses what the schema accepts');
  const refused = engine(bad);
  for (const name of Object.keys(bad))
    if (![...refused].some((path) => path.endsWith('/' + name.replaceAll(' ', '_') + '.json'))) fail(`the engine accepts: ${name}`);
} finally {
  rmSync(folder, {recursive: true});
}
console.log(`schema: ${Object.keys(good).length} rules and ${Object.keys(bad).length} mutants, ${failed} failed`);
process.exit(failed ? 1 : 0);
