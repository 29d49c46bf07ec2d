// What must be true when all runs have ended, read from the database itself.
import assert from 'node:assert/strict';
import { runCommand } from '../../tests/e2e/support/server.mjs';
import { CALL_NANO_USD } from './outside.mjs';

const rows = (postgres, sql) => postgres.query(sql).split('\n').filter(Boolean).map((line) => line.split('|'));

export function checkBooks({ postgres, outside, platform }, runs) {
  const open = rows(postgres, "select status, count(*) from agent_run where status in ('pending', 'running') group by 1");
  assert.deepEqual(open, [], 'runs that never ended');
  const gaps = rows(postgres, 'select thread_id, count(*), max(seq), min(seq) from agent_event group by 1 having count(*) <> max(seq) - min(seq) + 1 or min(seq) <> 1');
  assert.deepEqual(gaps, [], 'threads with a gap in their events');
  const twice = rows(postgres, "select run_id, count(*) from agent_event where method = 'end' group by 1 having count(*) > 1");
  assert.deepEqual(twice, [], 'runs with two ends');
  const [[billed, calls, lost]] = rows(postgres,
    `select coalesce(sum(cost), 0), count(*) filter (where outcome = 'success'), count(*) filter (where outcome <> 'success')
     from usage_row where run_id is not null`);
  assert.ok(Number(calls) <= outside.modelCalls, `${calls} calls are billed, the provider had ${outside.modelCalls}`);
  assert.ok(Number(calls) + Number(lost) >= outside.modelCalls, `the provider had ${outside.modelCalls} calls, ${calls} and ${lost} lost ones are known`);
  assert.ok(Number(billed) >= Number(calls) * CALL_NANO_USD, 'every answered call is paid');
  const ledger = runCommand(['admin', 'verify-ledger', '--platform', platform.id], { ASSISTIV_DATABASE_URL: postgres.url });
  assert.equal(ledger.status, 0, ledger.stdout + ledger.stderr);
  return { runs, modelCalls: outside.modelCalls, billed: Number(calls), lost: Number(lost) };
}
