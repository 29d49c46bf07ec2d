// The conformance cases of the CEL specification (cel-spec) that need no protobuf messages, on our evaluator.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test from 'node:test';
import { canonical, ours } from './support/cel.mjs';

const require = createRequire(new URL('../js/package.json', import.meta.url));
const { tests: SUITE } = await import(require.resolve('@bufbuild/cel-spec/testdata/conformance.js').replace('/cjs/', '/esm/'));

const FILES = ['basic', 'bindings_ext', 'comparisons', 'conversions', 'fields', 'fp_math', 'integer_math', 'lists', 'logic', 'macros', 'macros2', 'math_ext', 'optionals', 'parse', 'plumbing', 'string',
  'string_ext', 'timestamps'];

// Why a case cannot be run here, or undefined.
function exclusion(file, section, item) {
  const { expr, container, typeEnv = [], disableCheck } = item;
  const text = JSON.stringify(item);
  if (file === 'optionals') return 'optional values';
  if (/TestAllTypes|google\.protobuf\.(?!Timestamp|Duration)|GlobalEnum/.test(text) || container?.startsWith('cel.expr')) return 'protobuf messages';
  if (typeEnv.some((entry) => entry.name.includes('.')) || container) return 'names with dots';
  if (typeEnv.some((entry) => entry.function)) return 'functions of the test';
  if (disableCheck && !item.evalError && !item.anyEvalErrors) return 'relies on running unchecked';
  return undefined;
}

function literal(value) {
  const [[kind, content]] = Object.entries(value);
  switch (kind) {
    case 'int64Value': return String(content);
    case 'uint64Value': return `${content}u`;
    case 'doubleValue': return `double("${content}")`;
    case 'stringValue': return JSON.stringify(content);
    case 'bytesValue': return `b"${[...Buffer.from(content, 'base64')].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`;
    case 'boolValue': return String(content);
    case 'nullValue': return 'null';
    case 'listValue': return `[${(content.values ?? []).map(literal).join(', ')}]`;
    case 'mapValue': return `{${(content.entries ?? []).map((e) => `${literal(e.key)}: ${literal(e.value)}`).join(', ')}}`;
    case 'objectValue': return `${content['@type'].split('.').pop().toLowerCase()}("${content.value}")`;
    default: throw new Error(kind);
  }
}

// JSON for what JSON has, so that it is viewed; anything else is bound in the expression.
function asked(item) {
  let expr = item.expr;
  const bindings = {};
  for (const [name, { value }] of Object.entries(item.bindings ?? {})) {
    const kind = Object.keys(value)[0];
    if (['stringValue', 'boolValue', 'nullValue'].includes(kind)) bindings[name] = value[kind];
    else if (kind === 'int64Value' && Number.isSafeInteger(Number(value[kind]))) bindings[name] = Number(value[kind]);
    else expr = `cel.bind(${name}, ${literal(value)}, ${expr})`;
  }
  return { expr, bindings: JSON.stringify(bindings) };
}

const cases = [];
const excluded = {};
for (const file of FILES) {
  for (const section of SUITE.suites.find((suite) => suite.name === file).suites) {
    for (const { original } of section.tests) {
      const why = exclusion(file, section.name, original);
      if (why) excluded[why] = (excluded[why] ?? 0) + 1;
      else cases.push({ name: `${file} ${section.name} ${original.name}`, item: original });
    }
  }
}

test('conformance cases of cel-spec', () => {
  const answers = ours(cases.map(({ item }) => asked(item)));
  const wrong = [];
  cases.forEach(({ name, item }, i) => {
    const answer = answers[i];
    const fails = item.evalError || item.anyEvalErrors;
    // What fails when it runs may be refused before: our checker is never off.
    const right = fails ? answer.value === undefined : answer.value && canonical(answer.value) === canonical(item.value);
    if (!right) wrong.push(`${name}: ${item.expr}\n    wanted ${fails ? 'an error' : canonical(item.value)}, got ${answer.value ? canonical(answer.value) : JSON.stringify(answer)}`);
  });
  assert.deepEqual(wrong, []);
});

test('what is left out is counted', () => {
  assert.deepEqual({ run: cases.length, ...excluded }, {
    run: 1500, 'protobuf messages': 101, 'optional values': 70, 'relies on running unchecked': 29, 'names with dots': 5,
  });
});
