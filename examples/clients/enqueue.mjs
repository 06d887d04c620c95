#!/usr/bin/env node
// Enqueues a job from Node with nothing but a Redis client (PROTOCOL.md, "Bare entries").
//
//     npm install redis
//     REDIS_URL=redis://127.0.0.1:6379/0 node examples/clients/enqueue.mjs noop '{"photos": 12}' tenant=10000000-0000-4000-8000-000000000001
//
// Prints the entry's id and the id of its row in execution_logs. `client` is a connected client of the npm package redis.
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const ORDER = ['tenant', 'wedding', 'key', 'at', 'deadline', 'max', 'timeout', 'traceparent', 'src'];

// Names and values in the one order that the protocol asks for. An object becomes JSON; a Buffer is MessagePack of a map.
export function entry(kind, payload, options = {}) {
    const fields = ['kind', kind, 'payload', Buffer.isBuffer(payload) ? payload : JSON.stringify(payload)];
    const rest = Object.keys(options).filter((name) => !ORDER.includes(name)); // h.* and others
    for (const name of [...ORDER.filter((n) => n in options), ...rest]) fields.push(name, String(options[name]));
    return fields;
}

// XADD. Returns the entry's id and the key of its first row in execution_logs, which is also the job's id.
export async function enqueue(client, kind, payload, { queue = 'default', ...options } = {}) {
    const stream = `usher:{0}:in:${queue}`;
    const fields = entry(kind, payload, options);
    const id = await client.sendCommand(['XADD', stream, '*', ...fields]);
    return { id, job: logKey(stream, id, fields) };
}

// PROTOCOL.md, "Identifiers": SHA-256 over the domain and the parts, as a UUID of version 8.
export function logKey(stream, id, fields) {
    const hash = createHash('sha256').update('entry\n');
    for (const part of [stream, id, ...fields]) {
        const bytes = [];
        for (const b of Buffer.from(part)) {
            if (b === 0x5c) bytes.push(0x5c, 0x5c);
            else if (b === 0x0a) bytes.push(0x5c, 0x6e);
            else bytes.push(b);
        }
        hash.update(Buffer.from(bytes)).update('\n');
    }
    const digest = hash.digest().subarray(0, 16);
    digest[6] = (digest[6] & 0x0f) | 0x80;
    digest[8] = (digest[8] & 0x3f) | 0x80;
    return digest.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const { createClient } = await import('redis');
    const client = await createClient({ url: process.env.REDIS_URL }).connect();
    const options = Object.fromEntries(process.argv.slice(4).map((arg) => arg.split(/=(.*)/s, 2)));
    const { id, job } = await enqueue(client, process.argv[2], JSON.parse(process.argv[3]), options);
    console.log(id, job);
    await client.close();
}
