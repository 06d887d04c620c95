// A job queue from npm, drained: node queue_peers.js PEER MODE N REDIS-SOCKET POSTGRES-URL DIR. PEER: bullmq, graphile_worker. MODE: plain,
// logged (the handler inserts one row a job), batch_logged (rows of many jobs in one insert; each handler ends when its row is in).
// Prints "jobs/s": N over the time between the first and the last handler's end, as its authors measure. Best settings found are set below.
'use strict';
const path = require('path');

const [peer, mode, count, socket, url, dir] = process.argv.slice(2);
const load = (name) => require(path.join(path.resolve(dir), 'node_modules', name));
const { Pool } = load('pg');
const n = Number(count);
const payload = (i) => ({ n: 10000000 + i, couple: 'Ines and Tomas', venue: 'Quinta da Serra', text: 'x'.repeat(225) });

let pool;
let waiting = [];
let timer = null;
const INSERT = `insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, worker_id, started_at, duration_us, attempt,
    outcome, kind, queue) select t, now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 1, 1, 0, k, 'default'
    from unnest($1::uuid[], $2::text[]) as x(t, k)`;
const tenant = (i) => `be000000-0000-4000-8000-${(i % 200).toString(16).padStart(12, '0')}`;
const kind = (i) => `bench.k${String((i * 7) % 2000).padStart(4, '0')}`;

const insert = (list) => pool.query({ name: 'log', text: INSERT, values: [list.map(tenant), list.map(kind)] });
async function flush() {
    const batch = waiting;
    waiting = [];
    timer = null;
    await insert(batch.map((w) => w.i));
    for (const w of batch) w.done();
}
function log(i) {
    if (mode === 'plain') return undefined;
    if (mode === 'logged') return insert([i]);
    return new Promise((done) => {
        waiting.push({ i, done });
        if (waiting.length >= 200) flush();
        else if (timer === null) timer = setTimeout(() => { if (waiting.length > 0) flush(); }, 2);
    });
}

let seen = 0;
let first = 0n;
let finished;
const all = new Promise((resolve) => { finished = resolve; });
async function handle(i) {
    await log(i);
    if (first === 0n) first = process.hrtime.bigint();
    if (++seen === n) finished(Number(process.hrtime.bigint() - first) / 1e9);
}

const peers = {
    async bullmq() {
        const { Queue, Worker } = load('bullmq');
        const connection = { path: socket, maxRetriesPerRequest: null };
        const queue = new Queue('bench', { connection });
        for (let i = 0; i < n; i += 1000) {
            await queue.addBulk(Array.from({ length: Math.min(1000, n - i) }, (_, k) => ({
                name: 'job', data: payload(i + k), opts: { removeOnComplete: true } })));
        }
        const worker = new Worker('bench', (job) => handle(job.data.n - 10000000), { connection, concurrency: mode === 'logged' ? 50 : 200 });
        const seconds = await all;
        await worker.close();
        await queue.close();
        return seconds;
    },
    async graphile_worker() {
        const { run, makeWorkerUtils } = load('graphile-worker');
        const utils = await makeWorkerUtils({ connectionString: url });
        await utils.migrate();
        for (let i = 0; i < n; i += 1000) {
            await utils.addJobs(Array.from({ length: Math.min(1000, n - i) }, (_, k) => ({ identifier: 'job', payload: payload(i + k) })));
        }
        const runner = await run({
            taskList: { job: (data) => handle(data.n - 10000000) },
            preset: { worker: { connectionString: url, concurrentJobs: mode === 'batch_logged' ? 200 : 24, maxPoolSize: 20, pollInterval: 100,
                localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
            logger: new (load('graphile-worker').Logger)(() => () => {}),
            noHandleSignals: true,
        });
        const seconds = await all;
        await runner.stop();
        await utils.release();
        return seconds;
    },
};

(async () => {
    pool = new Pool({ connectionString: url, max: 10 });
    const seconds = await peers[peer]();
    console.log((n / seconds).toFixed(1));
    process.exit(0);
})().catch((e) => { console.error(e); process.exit(1); });
