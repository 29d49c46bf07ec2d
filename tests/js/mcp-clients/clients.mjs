// One function per client: connects with its own means, lists the tools, calls github_get_me, and says what it saw.
import { MCPServerStreamableHttp } from '@openai/agents';
import { createMCPClient } from '@ai-sdk/mcp';
import { MultiServerMCPClient } from '@langchain/mcp-adapters';

const TOOL = 'github_get_me';
const textOf = (content) => content.filter((part) => part.type === 'text').map((part) => part.text).join('');

export async function openAiAgents({ url, headers, authProvider }) {
  const server = new MCPServerStreamableHttp({ url, name: 'gateway', requestInit: { headers }, authProvider });
  await server.connect();
  try {
    const names = (await server.listTools()).map((tool) => tool.name);
    return { names, answer: textOf(await server.callTool(TOOL, {})) };
  } finally {
    await server.close();
  }
}

export async function vercelAi({ url, headers, authProvider }) {
  const client = await createMCPClient({ transport: { type: 'http', url, headers, authProvider } });
  try {
    const tools = await client.tools();
    const result = await tools[TOOL].execute({}, { toolCallId: 'call-1', messages: [] });
    return { names: Object.keys(tools), answer: textOf(result.content) };
  } finally {
    await client.close();
  }
}

export async function langChain({ url, headers, authProvider }) {
  const client = new MultiServerMCPClient({
    throwOnLoadError: true, prefixToolNameWithServerName: false, useStandardContentBlocks: true,
    mcpServers: { gateway: { transport: 'http', url, headers, authProvider } },
  });
  try {
    const tools = await client.getTools();
    const answer = await tools.find((tool) => tool.name === TOOL).invoke({});
    return { names: tools.map((tool) => tool.name), answer: typeof answer === 'string' ? answer : JSON.stringify(answer) };
  } finally {
    await client.close();
  }
}
