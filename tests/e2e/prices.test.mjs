// Our costs beside those of @pydantic/genai-prices, over random usages of the models that it knows: once with its
// catalogue imported, once with the prices that we ship. Equal to the nano-USD: ours are exact and rounded up once,
// theirs are doubles in USD.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import test from 'node:test';
import { BINARY, tempDir } from './support/server.mjs';

const require = createRequire(new URL('../js/package.json', import.meta.url));
const { calcPrice, findProvider } = require('@pydantic/genai-prices');

const ORACLE = path.join(path.dirname(BINARY), 'tests', 'price_oracle');
const PROVIDERS = ['openai', 'anthropic', 'google', 'x-ai', 'mistral', 'deepseek', 'groq', 'cohere', 'cerebras', 'moonshotai'];
const AT = '2026-11-21T12:00:00Z';
const PER_MODEL = 12;

// Numerical Recipes' generator: the same usages in every run.
let state = 20261121;
const below = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state % n;
};

// Theirs by our name of it. A part is only reported where it has a price of its own: elsewhere it costs what its whole
// costs in both. Ours are disjoint; theirs may overlap (cached audio), so the overlap is reported as none.
const PARTS = {
  cache_read_mtok: { ours: 'cache_read', theirs: 'cache_read_tokens', of: 'input' },
  cache_write_mtok: { ours: 'cache_write_5m', theirs: 'cache_write_tokens', of: 'input' },
  cache_write_1h_mtok: { ours: 'cache_write_1h', theirs: 'cache_write_1h_tokens', of: 'input' },
  input_audio_mtok: { ours: 'input_audio', theirs: 'input_audio_tokens', of: 'input' },
  input_image_mtok: { ours: 'input_image', theirs: 'input_image_tokens', of: 'input' },
  output_reasoning_mtok: { ours: 'reasoning', theirs: 'output_reasoning_tokens', of: 'output' },
  output_audio_mtok: { ours: 'output_audio', theirs: 'output_audio_tokens', of: 'output' },
  output_image_mtok: { ours: 'output_image', theirs: 'output_image_tokens', of: 'output' },
};
const OVERLAPS = { cache_audio_read_mtok: 'cache_audio_read_tokens', cache_image_read_mtok: 'cache_image_read_tokens' };

const pricesOf = (model) => (Array.isArray(model.prices) ? model.prices.map((dated) => dated.prices) : [model.prices]);

function randomUsage(price) {
  // Around the thresholds of tiers as often as not.
  const size = [50, 4000, 190_000, 210_000, 400_000][below(5)] + below(20_000) * below(2);
  const left = { input: size, output: below(20_000) };
  const ours = { ...left };
  const theirs = { input_tokens: left.input, output_tokens: left.output };
  for (const [key, part] of Object.entries(PARTS)) {
    if (!(key in price)) continue;
    const tokens = below(Math.max(1, Math.floor(left[part.of] / 2)));
    left[part.of] -= tokens;
    ours[part.ours] = tokens;
    theirs[part.theirs] = (theirs[part.theirs] ?? 0) + tokens;
  }
  // Theirs holds writes of either kind.
  if (ours.cache_write_1h) theirs.cache_write_tokens = (theirs.cache_write_tokens ?? 0) + ours.cache_write_1h;
  for (const [key, name] of Object.entries(OVERLAPS)) if (key in price) theirs[name] = 0;
  return { ours, theirs };
}

function questions() {
  const out = [];
  for (const id of PROVIDERS) {
    for (const model of findProvider({ providerId: id }).models) {
      for (let i = 0; i < PER_MODEL; i += 1) {
        const probe = calcPrice({ input_tokens: 1, output_tokens: 1 }, model.id, { providerId: id, timestamp: new Date(AT) });
        // The first rule that fits counts with them; a name that another model's rule catches is asked for there.
        if (probe?.model.id !== model.id) break;
        const { ours, theirs } = randomUsage(probe.model_price);
        const price = calcPrice(theirs, model.id, { providerId: id, timestamp: new Date(AT) });
        out.push({ line: { provider: id, model: model.id, at: AT, usage: ours }, usd: price.total_price, model });
      }
    }
  }
  return out;
}

function ask(source, asked) {
  const input = asked.map((one) => JSON.stringify(one.line)).join('\n') + '\n';
  const run = spawnSync(ORACLE, [source], { input, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(run.status, 0, run.stderr || String(run.error));
  const lines = run.stdout.trim().split('\n');
  assert.equal(lines.length, asked.length);
  return lines.map((line) => (line === 'null' ? null : Number(line)));
}

function assertEqualToTheNano(asked, nanos) {
  const exact = asked.usd * 1e9;
  const noise = Math.max(1e-5, exact * 1e-14);
  const allowed = [Math.ceil(exact - noise), Math.ceil(exact + noise)];
  assert.ok(allowed.includes(nanos), `${JSON.stringify(asked.line)}: ours ${nanos}, theirs ${exact}`);
}

// What a call of ours is never billed by, so such rows are not imported (and said to be left out).
const NOT_CARRIED = /^(audio_hours|input_audio_hours|input_text_messages_kcount|input_document_kpages|input_annotated_document_kpages|output_citation_mtok)$/;
const mayBeMissing = (model) =>
  pricesOf(model).some((price) => Object.keys(price).length === 0 || Object.keys(price).some((key) => NOT_CARRIED.test(key)))
  || (Array.isArray(model.prices) && model.prices.some((dated) => dated.constraint?.type === 'time_of_date'));

test('an imported catalogue costs what its own library says', () => {
  const file = path.join(tempDir(), 'data.json');
  fs.writeFileSync(file, JSON.stringify(PROVIDERS.map((id) => findProvider({ providerId: id }))));
  const asked = questions();
  const answers = ask(file, asked);
  let compared = 0;
  for (const [i, nanos] of answers.entries()) {
    if (nanos === null) {
      assert.ok(mayBeMissing(asked[i].model), `${asked[i].line.provider}/${asked[i].line.model} has no price`);
    } else {
      assertEqualToTheNano(asked[i], nanos);
      compared += 1;
    }
  }
  assert.ok(compared > 2000, `only ${compared} comparisons`);
});

test('the prices that we ship are those of today', () => {
  const asked = questions().filter((one) => ['openai', 'anthropic', 'google', 'x-ai'].includes(one.line.provider));
  let compared = 0;
  for (const [i, nanos] of ask('--builtin', asked).entries()) {
    if (nanos === null) continue;
    assertEqualToTheNano(asked[i], nanos);
    compared += 1;
  }
  assert.ok(compared > 600, `only ${compared} comparisons`);
});
