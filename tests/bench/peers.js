// A rule engine from npm over the rules and events that bench_rules has written: node peers.js PEER DIR.
// For each line on standard input one round: every event against the rules of its type. Answers "CPU-µs-per-event matches hash";
// the hash is the same as bench_rules's. Rules are prepared once, before the first round, as each engine's documentation advises.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const [peer, dir] = process.argv.slice(2);
const load = (name) => require(path.join(path.resolve(dir), 'node_modules', name));
const rules = JSON.parse(fs.readFileSync(path.join(dir, 'rules.json'), 'utf8'));
const events = JSON.parse(fs.readFileSync(path.join(dir, 'events.json'), 'utf8'));

const byType = new Map();
rules.forEach((rule, number) => {
    const type = rule.trigger.event;
    if (!byType.has(type)) byType.set(type, []);
    byType.get(type).push({ number, conditions: rule.conditions });
});

// Operators and operands as {op, path, value}; `has`: the field is a list that contains the value.
function leaf(op, [a, b]) {
    if (op === 'in' && b.var !== undefined) return { op: 'has', path: b.var, value: a };
    return { op, path: a.var, value: b };
}

function flat(value, prefix, out) {
    for (const [key, v] of Object.entries(value)) {
        if (v !== null && typeof v === 'object' && !Array.isArray(v)) flat(v, prefix + key + '.', out);
        else out[prefix + key] = v;
    }
    return out;
}

const peers = {
    json_logic_js() {
        const jsonLogic = load('json-logic-js');
        return (list, context) => list.filter((r) => jsonLogic.apply(r.conditions, context) === true);
    },
    json_logic_engine() {
        const { LogicEngine } = load('json-logic-engine');
        const engine = new LogicEngine();
        for (const list of byType.values()) for (const r of list) r.run = engine.build(r.conditions);
        return (list, context) => list.filter((r) => r.run(context) === true);
    },
    json_rules_engine() {
        const { Engine } = load('json-rules-engine');
        const names = { '==': 'equal', '!=': 'notEqual', '<': 'lessThan', '<=': 'lessThanInclusive', '>': 'greaterThan',
            '>=': 'greaterThanInclusive', in: 'in', has: 'contains' };
        const condition = (c) => {
            const [op, operands] = Object.entries(c)[0];
            if (op === 'and') return { all: operands.map(condition) };
            if (op === 'or') return { any: operands.map(condition) };
            if (op === '!') return { not: condition(operands[0]) };
            const l = leaf(op, operands);
            return { fact: l.path, operator: names[l.op], value: l.value };
        };
        for (const list of byType.values()) {
            list.engine = new Engine();
            for (const r of list) {
                const event = { type: 'match', params: { rule: r } };
                list.engine.addRule({ conditions: condition(r.conditions), event });
            }
        }
        return async (list, context) => (await list.engine.run(flat(context, '', {}))).events.map((e) => e.params.rule);
    },
    zen() {
        const { ZenEngine } = load('@gorules/zen-engine');
        const text = (v) => (Array.isArray(v) ? '[' + v.map(text).join(', ') + ']' : JSON.stringify(v));
        const condition = (c) => {
            const [op, operands] = Object.entries(c)[0];
            if (op === 'and' || op === 'or') return '(' + operands.map(condition).join(' ' + op + ' ') + ')';
            if (op === '!') return 'not (' + condition(operands[0]) + ')';
            const l = leaf(op, operands);
            return l.op === 'has' ? text(l.value) + ' in ' + l.path : l.path + ' ' + l.op + ' ' + text(l.value);
        };
        const engine = new ZenEngine();
        for (const list of byType.values()) {
            const table = { hitPolicy: 'collect', inputs: [{ id: 'c', name: 'c', type: 'expression' }],
                outputs: [{ id: 'o', name: 'o', field: 'n', type: 'expression' }],
                rules: list.map((r, i) => ({ _id: String(i), c: condition(r.conditions), o: String(i) })) };
            list.decision = engine.createDecision(Buffer.from(JSON.stringify({
                nodes: [{ id: 'i', type: 'inputNode', name: 'i', position: { x: 0, y: 0 } },
                    { id: 't', type: 'decisionTableNode', name: 't', position: { x: 0, y: 0 }, content: table },
                    { id: 'o', type: 'outputNode', name: 'o', position: { x: 0, y: 0 } }],
                edges: [{ id: 'a', sourceId: 'i', targetId: 't', type: 'edge' },
                    { id: 'b', sourceId: 't', targetId: 'o', type: 'edge' }] })));
        }
        return async (list, context) => (await list.decision.evaluate(context)).result.map((x) => list[x.n]);
    },
};

async function round(match) {
    let matches = 0, hash = 0;
    const before = process.cpuUsage();
    for (let e = 0; e < events.length; e++) {
        const found = match(byType.get(events[e].type), events[e].context);
        for (const r of found instanceof Promise ? await found : found) {
            matches++;
            hash = (hash + Math.imul(e * rules.length + r.number + 1, 2654435761)) >>> 0;
        }
    }
    const used = process.cpuUsage(before);
    return `${(used.user + used.system) / events.length} ${matches} ${hash}`;
}

(async () => {
    const match = peers[peer]();
    await round(match); // warm: the compiler has seen everything
    for await (const line of readline.createInterface({ input: process.stdin })) {
        if (line !== '') process.stdout.write(await round(match) + '\n');
    }
})();
