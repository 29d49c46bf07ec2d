// Our evaluator beside @bufbuild/cel: random expressions over random documents have the same value in both, or fail in both.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { ours, canonical } from './support/cel.mjs';
import { documentText, randomDocument, randomExpression, randomSource } from './support/cel_random.mjs';

const require = createRequire(new URL('../js/package.json', import.meta.url));
const { celEnv, isCelError, isCelList, isCelMap, isCelType, isCelUint, parse, plan } = require('@bufbuild/cel');
const { strings } = require('@bufbuild/cel/ext');

const CASES = 3000;
const environment = celEnv({ funcs: strings });

function typed(value) {
  if (value === null) return { nullValue: null };
  if (typeof value === 'bigint') return { int64Value: String(value) };
  if (typeof value === 'number') return { doubleValue: value };
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (isCelUint(value)) return { uint64Value: String(value.value) };
  if (isCelList(value)) return { listValue: { values: [...value].map(typed) } };
  if (isCelMap(value)) return { mapValue: { entries: [...value.entries()].map(([k, v]) => ({ key: typed(k), value: typed(v) })) } };
  if (isCelType(value)) return { typeValue: value.name };
  throw new Error(`no canonical form of ${typeof value}`);
}

const asInput = (value) => {
  if (Array.isArray(value)) return value.map(asInput);
  if (value === null || typeof value !== 'object') return value;
  return new Map(Object.entries(value).sort().map(([name, member]) => [name, asInput(member)])); // our objects are sorted by name
};

function theirs(expr, document) {
  let value;
  try {
    value = plan(environment, parse(expr))({ d: asInput(document) });
  } catch (error) {
    return 'error';
  }
  return isCelError(value) ? 'error' : canonical(typed(value));
}

test('random expressions have the value that @bufbuild/cel gives them', () => {
  const random = randomSource(20261122);
  const cases = [];
  while (cases.length < CASES) {
    const expr = randomExpression(random);
    const document = randomDocument(random);
    if (expr.length < 1500) cases.push({ expr, document, bindings: `{"d":${documentText(document)}}` });
  }
  const answers = ours(cases);
  const wrong = [];
  const count = { value: 0, error: 0, fault: 0 };
  cases.forEach(({ expr, document, bindings }, i) => {
    const answer = answers[i];
    count[answer.value ? 'value' : answer.fault ? 'fault' : 'error']++;
    if (answer.fault) return; // a comparison that can only be false: ours refuses it
    const mine = answer.value ? canonical(answer.value) : 'error';
    const other = theirs(expr, document);
    if (mine !== other) wrong.push(`${expr}\n  over ${bindings}\n  ours ${mine} ${answer.value ? '' : JSON.stringify(answer)}\n  theirs ${other}`);
  });
  assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} of ${CASES} differ`);
  // A generator that makes only nonsense would compare errors with errors.
  assert.ok(count.value > CASES / 2 && count.fault < CASES / 50, JSON.stringify(count));
});
