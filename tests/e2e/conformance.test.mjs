// The official conformance suite against the fixtures at /mcp/conformance: one test per scenario.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ROOT, startServer, tempDir } from './support/server.mjs';

const SUITE = path.join(ROOT, 'tests/js/node_modules/@modelcontextprotocol/conformance/dist/index.js');
const { runs } = JSON.parse(fs.readFileSync(new URL('./conformance.json', import.meta.url)));

const server = await startServer({ args: ['--conformance-fixtures'] });

async function runSuite(args) {
  const results = tempDir('conformance');
  const child = spawn(process.execPath, [SUITE, 'server', '--url', `${server.url}/mcp/conformance`, '-o', results, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  await new Promise((resolve) => child.once('close', resolve));
  return { scenarios: readResults(results), output };
}

/** scenario -> its checks; each scenario has a folder server-<scenario>-<time> with checks.json in it. */
function readResults(folder) {
  const scenarios = new Map();
  for (const file of fs.readdirSync(folder, { recursive: true }).filter((f) => path.basename(f) === 'checks.json')) {
    const name = path.basename(path.dirname(file)).replace(/^server-/, '').replace(/-\d{4}-\d{2}-\d{2}T[\dZ-]+$/, '');
    scenarios.set(name, JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')));
  }
  return scenarios;
}

for (const run of runs) {
  const { scenarios, output } = await runSuite(run.args);
  describe(`conformance ${run.name}`, () => {
    for (const scenario of run.scenarios) {
      test(scenario, () => {
        const checks = scenarios.get(scenario);
        assert.ok(checks, `the suite did not run it; it ran ${[...scenarios.keys()].join(', ')}\n${output.slice(-2000)}`);
        const failed = checks.filter((check) => ['FAILURE', 'WARNING'].includes(check.status));
        assert.deepEqual(failed.map((c) => `${c.id}: ${c.errorMessage ?? c.description}`), []);
        assert.ok(checks.some((check) => check.status === 'SUCCESS'), 'nothing was checked');
      });
    }
  });
  const beyond = [...scenarios].filter(([name]) => !run.scenarios.includes(name));
  const green = beyond.filter(([, checks]) => checks.every((c) => c.status !== 'FAILURE'));
  console.log(`# ${run.name}: beyond the ones required here, ${green.length} of ${beyond.length} scenarios pass: ${green.map(([n]) => n).join(', ')}`);
}

test('the fixtures are served only when they were asked for', async () => {
  await server.stop();
  const plain = await startServer();
  const reply = await fetch(`${plain.url}/mcp/conformance`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' });
  assert.ok([401, 404].includes(reply.status), String(reply.status));
  await plain.stop();
});
