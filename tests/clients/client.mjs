// The doors through the npm packages redis and @msgpack/msgpack: every case of cases.json, its result by the key that this client derives,
// and the stream of dead letters. USHER_NODE names the folder that the packages are installed in.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { enqueue } from '../../examples/clients/enqueue.mjs';

const require = createRequire(`${process.env.USHER_NODE}/`);
const { createClient } = require('redis');
const { encode } = require('@msgpack/msgpack');
const PATIENCE_MS = 60000;
const file = (name) => new URL(name, import.meta.url).pathname;
const cases = JSON.parse(readFileSync(file('cases.json'), 'utf8'));
const url = process.env.REDIS_URL;
const client = await createClient(url.startsWith('unix://') ? { socket: { path: url.slice('unix://'.length) } } : { url }).connect();

const state = (job) => JSON.parse(execFileSync('psql', ['-XAtq', '-d', process.env.DATABASE_URL, '-v', `job=${job}`, '-f', file('state.sql')]));

async function until(test, job) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = state(job);
        if (Object.entries(test.expect).every(([name, want]) => found[name] === want)) return null;
        if (Date.now() > deadline) return `expected ${JSON.stringify(test.expect)}, found ${JSON.stringify(found)}`;
        await pause(50);
    }
}

async function add(test) {
    const body = test.raw !== undefined ? Buffer.from(test.raw) : test.msgpack ? Buffer.from(encode(test.payload)) : test.payload;
    const options = Object.fromEntries(Object.entries(test.options ?? {}).map(([k, v]) => [k, v.replace('CLIENT', 'node')]));
    return (await enqueue(client, test.kind ?? 'noop', body, options)).job;
}

const jobs = {};
let failed = 0;
const say = (name, wrong) => {
    failed += wrong ? 1 : 0;
    console.log(`${wrong ? 'not ok' : 'ok'} - node: ${name}${wrong ? `: ${wrong}` : ''}`);
};
for (const test of cases) {
    if (test.after) await until(cases.find((c) => c.name === test.after), jobs[test.after]);
    jobs[test.name] = await add(test);
}
// The entry whose key is held leaves no trace: wait until it was taken before saying so.
const groups = () => client.xInfoGroups('usher:{0}:in:default');
while ((await groups()).some((g) => g.pending > 0 || g.lag > 0)) await pause(50);
for (const test of cases) say(test.name, await until(test, jobs[test.name]));
const deadline = Date.now() + PATIENCE_MS;
let letters = [];
while (!letters.includes(jobs.forged) && Date.now() < deadline) {
    letters = (await client.xRange('usher:{0}:dlq', '-', '+')).map((entry) => entry.message.job);
    await pause(50);
}
say('the stream of dead letters names it', letters.includes(jobs.forged) ? null : 'it does not');
await client.close();
process.exit(failed ? 1 : 0);
