// What open tasks cost the process that took the calls: each waits for an approval that never comes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { MODERN, modernMeta } from '../../tests/e2e/support/mcp.mjs';
import { pause, residentKib } from '../support/machine.mjs';
import { startGateway, Tenant } from './servers.mjs';

const PER_USER = 100; // open tasks, and pending approvals, that an end user may have
const AT_ONCE = 32;
const SETTLE_MS = 5000;
const CAPABILITIES = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

const threads = (pid) => Number(/^Threads:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
const costOf = ({ pid }) => ({ rss: residentKib(pid), threads: threads(pid) });

async function ask(gateway, key, method, params) {
  const reply = await fetch(`${gateway.url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${key}`,
      'mcp-protocol-version': MODERN, 'mcp-method': method, 'mcp-name': params.name ?? params.taskId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: modernMeta(CAPABILITIES) } }),
  });
  const text = await reply.text();
  const { result, error } = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text);
  assert.ok(result, JSON.stringify(error));
  return result;
}

async function openTask(gateway, key, number) {
  const task = await ask(gateway, key, 'tools/call', { name: 'bench_echo', arguments: { text: `task ${number}` } });
  assert.equal(task.resultType, 'task', JSON.stringify(task));
  return { key, id: task.taskId };
}

async function openAll(gateway, keys, count, first = 0) {
  const tasks = [];
  let next = first;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < first + count) {
        const number = next++;
        tasks.push(await openTask(gateway, keys[number % keys.length], number));
      }
    }),
  );
  return tasks;
}

/** Memory in KiB and threads of the process, before and with `tasks` open tasks. */
export async function measureOpenTasks(world, { tasks: count, say }) {
  const gateway = await startGateway(world);
  try {
    const tenant = await Tenant.create(gateway);
    await tenant.askFor(gateway, 'bench_echo');
    const keys = [];
    const users = Math.ceil(count / (PER_USER - 1));
    for (let i = 0; i < users; i++) keys.push((await tenant.addConnectedUser(gateway, `user-${i}`, [])).api_key.raw_key);
    await openAll(gateway, keys, keys.length); // one each: what users and connections cost is not what tasks cost
    await pause(SETTLE_MS);
    const before = costOf(gateway);
    const began = performance.now();
    const tasks = await openAll(gateway, keys, count, keys.length);
    const seconds = (performance.now() - began) / 1000;
    await pause(SETTLE_MS);
    const open = costOf(gateway);
    for (const { key, id } of [tasks[0], tasks.at(-1)])
      assert.equal((await ask(gateway, key, 'tasks/get', { taskId: id })).status, 'working');
    say(`tasks: ${count} in ${seconds.toFixed(1)} s, RSS in KiB ${before.rss} -> ${open.rss}, threads ${before.threads} -> ${open.threads}`);
    return { tasks: count, before, open, perSecond: count / seconds };
  } finally {
    await gateway.stop();
  }
}
