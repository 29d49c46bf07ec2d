// Kills the gateway at every durable write and every act outside, then at random; says what was found, and ends with 1
// when an invariant does not hold. Started by ./run, which says what it takes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stopLeftovers } from '../../tests/e2e/support/server.mjs';
import { pause } from '../support/machine.mjs';
import { Driver } from './driver.mjs';
import { checkBooks } from './invariants.mjs';
import { World } from './world.mjs';

const OUT = path.join(fileURLToPath(new URL('../..', import.meta.url)), 'build/bench');
const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, random: { type: 'string' }, 'skip-points': { type: 'boolean' }, only: { type: 'string' }, seed: { type: 'string' } },
});
const randomSeconds = Number(options.random ?? (options.quick ? 20 : 300));
const say = (line) => console.error(line);
let world;
process.once('exit', () => world?.gateways.forEach(({ dataDir }) => stopLeftovers(dataDir)));

class Killed extends Error {}

/** One run that is killed at its point number `target`; with Infinity it only counts them. */
async function runWithKill(workload, mark, target) {
  const points = [];
  let restarted = null;
  world.at = async (point) => {
    if (restarted) return; // of the next process, or on its way before the kill
    points.push(point);
    if (points.length !== target) return;
    restarted = world.crash(0);
    restarted.catch(() => {});
    await world.gateways[0].server.exited;
    throw new Killed();
  };
  const driver = new Driver(() => ({ url: `http://127.0.0.1:${world.gateways[0].port}`, key: world.user.key }), world.outside);
  const end = await driver.drive(workload, mark);
  await restarted;
  world.at = async () => {};
  assert.ok(!end.givenUp, `${mark} was given up`);
  workload.check(end.values, mark);
  return { points, asked: end.asked };
}

async function everyPoint() {
  const found = [];
  for (const workload of world.workloads) {
    const { name } = workload;
    if (options.only && options.only !== name) continue;
    const { points } = await runWithKill(workload, `${name}-dry`, Infinity);
    const targets = points.map((_, i) => i + 1).filter((k) => !options.quick || k % 7 === 1);
    let asked = 0;
    for (const k of targets) asked += (await runWithKill(workload, `${name}-${k}`, k)).asked;
    found.push({ name, points: points.length, kills: targets.length, asked });
    say(`${name}: ${points.length} points, ${targets.length} kills, ${asked} questions asked; all runs ended as they must`);
  }
  return found;
}

/** A generator that a seed repeats (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function atRandom(seconds) {
  const seed = Number(options.seed ?? Date.now() % 1e9);
  const random = generator(seed);
  say(`random for ${seconds} s with seed ${seed}`);
  const tally = { runs: 0, kills: 0, pauses: 0, databaseRestarts: 0, asked: 0, givenUp: 0, seed, seconds };
  const until = Date.now() + seconds * 1000;
  const alive = () => {
    const { port } = world.gateways[Math.floor(Math.random() * world.gateways.length)];
    return { url: `http://127.0.0.1:${port}`, key: world.user.key };
  };
  const driver = new Driver(alive, world.outside);
  const caller = async (id) => {
    for (let n = 0; Date.now() < until; n++) {
      const workload = world.workloads[(id + n) % world.workloads.length];
      const mark = `random-${id}-${n}`;
      const end = await driver.drive(workload, mark);
      tally.runs++;
      tally.asked += end.asked;
      if (end.givenUp) tally.givenUp++;
      else workload.check(end.values, mark);
    }
  };
  const chaos = async () => {
    while (Date.now() < until) {
      await pause(500 + random() * 1500);
      const i = Math.floor(random() * world.gateways.length);
      const choice = random();
      if (choice < 0.6) {
        await world.crash(i);
        tally.kills++;
      } else if (choice < 0.85) {
        const { pid } = world.gateways[i].server;
        process.kill(pid, 'SIGSTOP');
        await pause(3000); // past the lease
        process.kill(pid, 'SIGCONT');
        tally.pauses++;
      } else {
        world.postgres.restart();
        tally.databaseRestarts++;
      }
    }
  };
  await Promise.all([chaos(), ...Array.from({ length: 8 }, (_, id) => caller(id))]);
  assert.ok(tally.runs > seconds / 10, `only ${tally.runs} runs ended: nothing is shown by that`);
  assert.ok(tally.givenUp <= tally.runs / 20, `${tally.givenUp} of ${tally.runs} runs were given up`);
  say(`${tally.runs} runs, ${tally.givenUp} given up, ${tally.kills} kills, ${tally.pauses} pauses, ${tally.databaseRestarts} restarts of PostgreSQL`);
  return tally;
}

const results = {};
if (!options['skip-points']) {
  world = await World.start(1);
  results.points = await everyPoint();
  results.pointBooks = checkBooks(world, results.points.reduce((sum, { kills }) => sum + kills + 1, 0));
  await world.stop();
}
if (randomSeconds > 0 && !options.only) {
  world = await World.start(2);
  results.random = await atRandom(randomSeconds);
  results.randomBooks = checkBooks(world, results.random.runs);
  await world.stop();
}
fs.mkdirSync(OUT, { recursive: true });
fs.writeFileSync(path.join(OUT, 'agents_crash.json'), `${JSON.stringify(results, null, 2)}\n`);
console.log(JSON.stringify(results, null, 2));
process.exit(0);
