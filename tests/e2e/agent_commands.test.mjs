// The commands of README.md and docs/ about agents, as they stand there, against a server that runs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AgentWorld } from './support/agent_world.mjs';
import { ROOT, tempDir } from './support/server.mjs';

/** The indented blocks of one section, joined. Those of a list item are indented by more. */
function commandsOf(file, heading) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  const level = heading.indexOf(' ') + 1;
  const from = text.indexOf(`\n${heading}\n`);
  assert.notEqual(from, -1, `${file} has no "${heading}"`);
  const section = text.slice(from + 1).split(new RegExp(`\n(?=#{1,${level - 1}} )`))[0];
  const lines = section.split('\n');
  const inList = lines.some((line) => /^\d\. /.test(line));
  return lines.map((line, i) => {
    const deep = inList && lines.slice(0, i).some((one) => /^\d\. /.test(one)) ? 7 : 4;
    return line.startsWith(' '.repeat(deep)) ? line.slice(deep) : '';
  }).join('\n');
}

describe('The commands about agents in the documents', () => {
  let agents, folder;
  before(async () => {
    agents = await AgentWorld.start([]);
    folder = tempDir('commands');
    fs.mkdirSync(path.join(folder, '.assistiv'));
    fs.writeFileSync(path.join(folder, '.assistiv/quickstart.json'), JSON.stringify({
      platform_id: agents.platform.id, platform_key: agents.platform.key, end_user_key: agents.user.key,
    }));
    fs.symlinkSync(path.join(ROOT, 'examples'), path.join(folder, 'examples'));
  });
  after(async () => {
    await agents?.stop();
    if (folder) fs.rmSync(folder, { recursive: true, force: true });
  });

  /** What the commands print; as a shell of a reader would run them, one after the other. */
  function run(commands) {
    assert.match(commands, /127\.0\.0\.1:8080/);
    const shell = spawn('bash', ['-c', commands.replaceAll('http://127.0.0.1:8080', agents.url)], { cwd: folder });
    let out = '';
    shell.stdout.on('data', (piece) => (out += piece));
    shell.stderr.on('data', (piece) => (out += piece));
    return new Promise((resolve) => shell.once('close', () => resolve(out)));
  }

  test('README: an agent is saved and run; then it answers at every door', async () => {
    const readme = commandsOf('README.md', '## Run an agent').split('\n').filter((line) => !/^(import|const|for await) /.test(line)).join('\n');
    assert.match(await run(readme), /"slug":"helper"[\s\S]*"content":"You said: Hello!"/);
    const doors = await run(commandsOf('docs/agent-doors.md', '## Try it'));
    assert.equal(doors.match(/You said: Hello!/g)?.length, 4, doors); // twice in MCP's result
    assert.match(doors, /"status": "success"/);
    assert.match(doors, /"artifactId"/);
  });

  test('agents.md: the first agent asks, is answered, and says what it cost', async () => {
    const out = await run(commandsOf('docs/agents.md', '## The first agent in five minutes'));
    assert.match(out, /"slug": "notes",\s+"active_version": 1/);
    assert.match(out, /"__interrupt__":.*"Keep this note\?"/);
    assert.match(out, /\[\s+"ask"\s+\]/);
    assert.match(out, /"kept: You said: the sea"/);
    assert.match(out, /"status": "success"[\s\S]*"cost_usd": "0\.0000\d+"/);
  });

  test('agents.md: a ready agent is saved and run', async () => {
    const named = commandsOf('docs/agents.md', '## The first agent in five minutes').split('\n').slice(0, 8).join('\n');
    const out = await run(`${named}\n${commandsOf('docs/agents.md', '## Ready agents')}`);
    assert.match(out, /"slug":"research"/);
    assert.match(out, /"report":"You said: /);
  });
});
