// Expressions through our evaluator (tests/tools/cel_oracle.cpp), and values as the conformance cases of CEL write them.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { BINARY } from './server.mjs';

const ORACLE = path.join(path.dirname(BINARY), 'tests', 'cel_oracle');

// asks: [{expr, bindings?: JSON text of an object}] -> [{value} | {fault} | {error}]
export function ours(asks) {
  const input = asks.map((ask) => `{"expr":${JSON.stringify(ask.expr)},"bindings":${ask.bindings ?? '{}'}}`).join('\n');
  const run = spawnSync(ORACLE, { input: input + '\n', encoding: 'utf8', maxBuffer: 256 << 20 });
  if (run.status !== 0) throw new Error(`cel_oracle: ${run.error ?? run.signal ?? run.status}\n${run.stderr}`);
  return run.stdout.trim().split('\n').map((line) => JSON.parse(line));
}

const double = (value) => {
  const number = typeof value === 'string' ? Number(value) : value;
  return Object.is(number, -0) ? '0' : String(number);
};

// A typed value as text that is equal where the values are: the order of a map's entries does not count.
export function canonical(value) {
  if (value === undefined) return 'bool true';
  const [[kind, content]] = Object.entries(value);
  switch (kind) {
    case 'doubleValue': return `double ${double(content)}`;
    case 'listValue': return `[${(content.values ?? []).map(canonical).join(', ')}]`;
    case 'mapValue': return `{${(content.entries ?? []).map((e) => `${canonical(e.key)}: ${canonical(e.value)}`).sort().join(', ')}}`;
    case 'objectValue': return `${content['@type'].split('.').pop().toLowerCase()} ${content.value}`;
    default: return `${kind.replace('Value', '')} ${content}`;
  }
}
