// Three nodes in a line, each of which returns two small fields: the same graph as graph.json beside this folder.
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';

const State = Annotation.Root({
  n: Annotation(),
  a: Annotation(),
  b: Annotation(),
  c: Annotation(),
});

export const builder = new StateGraph(State)
  .addNode('first', ({ n }) => ({ a: n + 1, n: n + 1 }))
  .addNode('second', ({ n, a }) => ({ b: `b${a}`, n: n + 1 }))
  .addNode('third', ({ n, b }) => ({ c: `${b}c`, n: n + 1 }))
  .addEdge(START, 'first')
  .addEdge('first', 'second')
  .addEdge('second', 'third')
  .addEdge('third', END);

export const graph = builder.compile();
