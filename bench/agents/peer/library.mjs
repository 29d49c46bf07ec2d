// The library with its PostgreSQL checkpointer, without a server: runs on threads of their own for so many seconds.
// usage: node library.mjs DATABASE_URL DURABILITY CONCURRENCY SECONDS; prints one line of JSON.
import { randomUUID } from 'node:crypto';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import { builder } from './graph.mjs';

const [url, durability, concurrency, seconds] = process.argv.slice(2);
const saver = PostgresSaver.fromConnString(url);
await saver.setup();
const graph = builder.compile({ checkpointer: saver });

const times = [];
async function caller(until) {
  while (performance.now() < until) {
    const began = performance.now();
    const state = await graph.invoke({ n: 1 }, { configurable: { thread_id: randomUUID() }, durability });
    if (state.c !== 'b2c' || state.n !== 4) throw new Error(`a wrong state: ${JSON.stringify(state)}`);
    times.push(performance.now() - began);
  }
}
const all = (until) => Promise.all(Array.from({ length: Number(concurrency) }, () => caller(until)));

await all(performance.now() + 1000);
times.length = 0;
const [began, cpu] = [performance.now(), process.cpuUsage()];
await all(began + Number(seconds) * 1000);
const [spent, used] = [(performance.now() - began) / 1000, process.cpuUsage(cpu)];
times.sort((a, b) => a - b);
const at = (share) => times[Math.floor((times.length - 1) * share)];
console.log(JSON.stringify({
  perSecond: times.length / spent, p50: at(0.5), p99: at(0.99), runs: times.length, failed: 0,
  cpuMsPerRun: (used.user + used.system) / 1000 / times.length,
}));
await saver.end();
process.exit(0);
