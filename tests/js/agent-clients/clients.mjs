// One door to the clients of tests/js/agent-clients, so that a test outside of that folder finds them.
export { Client } from '@langchain/langgraph-sdk';
export * as A2A from '@a2a-js/sdk/client';
