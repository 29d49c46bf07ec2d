// Draws the graph of an agent as SVG: layers from top to bottom, subgraphs as boxes inside, ways back at the side. Nothing
// here knows of runs; run_page.js colours what was drawn.
const NS = 'http://www.w3.org/2000/svg';
const GAP_X = 28, GAP_Y = 50, PAD = 14, HEAD = 34, LANE = 16;
const SWEEPS = 40;

function svg(name, attributes = {}, ...children) {
  const out = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, String(value));
  out.append(...children.filter(Boolean));
  return out;
}

const short = (text, max) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);
const isEnd = (id) => id === '__start__' || id === '__end__';
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;

function boxOf(node) {
  if (isEnd(node.id)) return { w: 64, h: 28 };
  if (node.graph) {
    const inner = layout(node.graph);
    return { inner, w: Math.max(inner.w + 2 * PAD, 150), h: inner.h + HEAD + PAD };
  }
  return { w: Math.min(230, Math.max(132, short(node.title || node.id, 26).length * 7.7 + 44)), h: 46 };
}

// Several ways between the same two nodes are one line with all their words.
function oneOfEach(edges) {
  const out = new Map();
  for (const edge of edges) {
    const key = JSON.stringify([edge.source, edge.target]);
    const known = out.get(key);
    if (known) known.label = [known.label, edge.label].filter(Boolean).join(' / ');
    else out.set(key, { ...edge });
  }
  return [...out.values()];
}

// The edges that close a cycle, found from the start on.
function backEdges(items, edges) {
  const out = new Set();
  const state = new Map();
  const leaving = (id) => edges.filter((edge) => edge.source === id && edge.target !== id);
  for (const root of ['__start__', ...items.keys()]) {
    if (!items.has(root) || state.has(root)) continue;
    const stack = [{ id: root, rest: leaving(root) }];
    state.set(root, 'open');
    while (stack.length) {
      const top = stack.at(-1);
      const edge = top.rest.shift();
      if (!edge) {
        state.set(stack.pop().id, 'done');
      } else if (state.get(edge.target) === 'open') {
        out.add(edge);
      } else if (!state.has(edge.target)) {
        state.set(edge.target, 'open');
        stack.push({ id: edge.target, rest: leaving(edge.target) });
      }
    }
  }
  return out;
}

// As deep as the longest way to it.
function rank(items, forward) {
  const left = new Map([...items.keys()].map((id) => [id, forward.filter((edge) => edge.target === id).length]));
  const ready = [...items.keys()].filter((id) => left.get(id) === 0);
  while (ready.length) {
    const id = ready.shift();
    for (const edge of forward.filter((one) => one.source === id)) {
      const target = items.get(edge.target);
      target.rank = Math.max(target.rank, items.get(id).rank + 1);
      left.set(edge.target, left.get(edge.target) - 1);
      if (left.get(edge.target) === 0) ready.push(edge.target);
    }
  }
}

// Long edges become chains of points, one for each layer between.
function chains(items, forward) {
  return forward.map((edge, n) => {
    const chain = [items.get(edge.source)];
    for (let r = items.get(edge.source).rank + 1; r < items.get(edge.target).rank; r++) {
      const point = { id: `~${n}:${r}`, rank: r, w: 8, h: 0, point: true };
      items.set(point.id, point);
      chain.push(point);
    }
    chain.push(items.get(edge.target));
    return { edge, chain };
  });
}

function layersOf(items) {
  const layers = [];
  for (const item of items.values()) (layers[item.rank] ??= []).push(item);
  return layers.map((layer) => layer ?? []);
}

function order(layers, links) {
  const around = (item, up) => (up ? links.above.get(item) : links.below.get(item)) ?? [];
  layers.forEach((layer) => layer.forEach((item, i) => (item.place = i)));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const up = sweep % 2 === 0;
    for (const layer of up ? layers : [...layers].reverse()) {
      for (const item of layer) {
        const near = around(item, up);
        item.weight = near.length ? mean(near.map((one) => one.place)) : item.place;
      }
      layer.sort((a, b) => a.weight - b.weight || a.place - b.place).forEach((item, i) => (item.place = i));
    }
  }
}

// Side by side, each as near to the middle of its neighbours as those beside it let it be.
function place(layers, links) {
  for (const layer of layers) {
    let x = 0;
    for (const item of layer) {
      item.x = x + item.w / 2;
      x += item.w + GAP_X;
    }
  }
  const spread = (layer, wanted) => {
    const left = [], right = [];
    layer.forEach((item, i) => {
      const before = i ? left[i - 1] + (layer[i - 1].w + item.w) / 2 + GAP_X : -Infinity;
      left.push(Math.max(wanted[i], before));
    });
    for (let i = layer.length - 1; i >= 0; i--) {
      const after = i < layer.length - 1 ? right[i + 1] - (layer[i + 1].w + layer[i].w) / 2 - GAP_X : Infinity;
      right[i] = Math.min(wanted[i], after);
    }
    layer.forEach((item, i) => (item.x = (left[i] + right[i]) / 2));
  };
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      spread(layer, layer.map((item) => {
        const near = [...(links.above.get(item) ?? []), ...(links.below.get(item) ?? [])];
        return near.length ? mean(near.flatMap((one) => Array(one.point ? 1 : 5).fill(one.x))) : item.x;
      }));
    }
  }
  let y = 0;
  for (const layer of layers) {
    const height = Math.max(...layer.map((item) => item.h), 0);
    layer.forEach((item) => (item.y = y + height / 2));
    y += height + GAP_Y;
  }
  const least = Math.min(...layers.flat().map((item) => item.x - item.w / 2));
  layers.flat().forEach((item) => (item.x -= least));
}

function linksOf(lines) {
  const links = { above: new Map(), below: new Map() };
  const add = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
  for (const { chain } of lines) {
    for (let i = 1; i < chain.length; i++) {
      add(links.above, chain[i], chain[i - 1]);
      add(links.below, chain[i - 1], chain[i]);
    }
  }
  return links;
}

// Where edges touch a node: beside each other, in the order in which they leave.
function ports(lines) {
  const groups = new Map();
  for (const line of lines) {
    for (const [end, item, next] of [['from', line.chain[0], line.chain[1]], ['to', line.chain.at(-1), line.chain.at(-2)]]) {
      const key = `${end} ${item.id}`;
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push({ line, end, item, x: next.x });
    }
  }
  for (const group of groups.values()) {
    group.sort((a, b) => a.x - b.x);
    const step = Math.min(20, (group[0].item.w * 0.7) / group.length);
    group.forEach((port, i) => (port.line[port.end] = port.item.x + (i - (group.length - 1) / 2) * step));
  }
}

const bezier = (t, a, b, c, d) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;

// `nth` of the edges with words that leave the same node: their words stand at different heights.
function curve({ chain, from, to }, nth) {
  const points = chain.map((item, i) => {
    if (i === 0) return [from, item.y + item.h / 2];
    if (i === chain.length - 1) return [to, item.y - item.h / 2 - 3];
    return [item.x, item.y];
  });
  let d = `M${points[0]}`;
  for (let i = 1; i < points.length; i++) {
    const [[ax, ay], [bx, by]] = [points[i - 1], points[i]];
    const bend = (by - ay) / 2;
    d += ` C${ax},${ay + bend} ${bx},${by - bend} ${bx},${by}`;
  }
  const [[ax, ay], [bx, by]] = points;
  const t = [0.42, 0.64, 0.84][nth % 3];
  return { d, label: [bezier(t, ax, ax, bx, bx), bezier(t, ay, (ay + by) / 2, (ay + by) / 2, by) + 4] };
}

// On which side a way back goes, so that it crosses little.
function sideOf(edge, items, layers) {
  const from = items.get(edge.source);
  const layer = layers[from.rank];
  return layer.length > 1 && layer[0] === from ? 'left' : 'right';
}

// From the node's side where nothing stands beside it, else from below; into the other one's side, or from above.
function wayBack({ edge, side, nth }, items, layers) {
  const [from, to] = [items.get(edge.source), items.get(edge.target)];
  const sign = side === 'left' ? -1 : 1;
  const between = layers.slice(Math.min(from.rank, to.rank), Math.max(from.rank, to.rank) + 1).flat();
  const x = sign * Math.max(...between.map((item) => sign * item.x + item.w / 2)) + sign * LANE * (1 + nth);
  const isOuter = (item) => layers[item.rank].at(side === 'left' ? 0 : -1) === item;
  const same = from === to;
  const [ax, ay] = isOuter(from) ? [from.x + (sign * from.w) / 2, from.y + (same ? 10 : 0)] : [from.x, from.y + from.h / 2];
  const by = isOuter(to) ? to.y - (same ? 10 : 6) : to.y - to.h / 2 - 3;
  const bx = isOuter(to) ? to.x + sign * (to.w / 2 + 3) : to.x;
  const start = isOuter(from) ? `M${ax},${ay} C${x},${ay} ${x},${ay} ${x},${ay - 26}` : `M${ax},${ay} C${ax},${ay + 34} ${x},${ay + 34} ${x},${ay - 20}`;
  const end = isOuter(to) ? `L${x},${by + 26} C${x},${by} ${x},${by} ${bx},${by}` : `L${x},${by + 10} C${x},${by - 34} ${bx},${by - 34} ${bx},${by}`;
  return { edge, x, d: same ? `M${ax},${ay} C${x + sign * 12},${ay} ${x + sign * 12},${by} ${bx},${by}` : `${start} ${end}`, label: [x, (ay + by) / 2] };
}

// {nodes: [{id, type, title, graph?}], edges: [{source, target, conditional, label}]} to places.
export function layout(graph) {
  const items = new Map(graph.nodes.map((node) => [node.id, { id: node.id, node, rank: 0, ...boxOf(node) }]));
  const edges = oneOfEach(graph.edges.filter((edge) => items.has(edge.source) && items.has(edge.target)));
  const back = backEdges(items, edges);
  const forward = edges.filter((edge) => !back.has(edge) && edge.source !== edge.target);
  rank(items, forward);
  const lines = chains(items, forward);
  const layers = layersOf(items);
  const links = linksOf(lines);
  order(layers, links);
  place(layers, links);
  const backs = edges.filter((edge) => !forward.includes(edge)).map((edge) => ({ edge, side: sideOf(edge, items, layers) }));
  backs.forEach((one) => (one.nth = backs.filter((other) => other.side === one.side).indexOf(one)));
  const left = backs.filter((one) => one.side === 'left').length * LANE;
  const all = layers.flat();
  all.forEach((item) => (item.x += left));
  ports(lines);
  const nthOf = ({ edge }) => lines.filter((line) => line.edge.source === edge.source && line.edge.label).findIndex((line) => line.edge === edge);
  const backLines = backs.map((one) => wayBack(one, items, layers));
  return {
    items: all.filter((item) => !item.point), lines: [...lines.map((line) => ({ edge: line.edge, ...curve(line, Math.max(0, nthOf(line))) })), ...backLines],
    w: Math.max(...all.map((item) => item.x + item.w / 2), ...backLines.map((line) => line.x + 6)), h: Math.max(...all.map((item) => item.y + item.h / 2)),
  };
}

function drawNode(item, prefix, seen) {
  const { node, w, h } = item;
  const key = prefix + node.id;
  const label = node.id === '__start__' ? 'start' : node.id === '__end__' ? 'end' : node.title || node.id;
  const box = svg('rect', { class: 'box', x: -w / 2, y: -h / 2, width: w, height: h, rx: isEnd(node.id) ? h / 2 : 9 });
  const name = svg('text', { class: 'name', y: isEnd(node.id) ? 4.5 : node.graph ? -h / 2 + 21 : -3 });
  name.textContent = short(label, node.graph ? 22 : 26);
  const parts = [box, name];
  if (!isEnd(node.id) && !node.graph) {
    const type = svg('text', { class: 'type', y: 14 });
    type.textContent = node.type;
    parts.push(type);
  }
  const mark = svg('g', { class: 'badge', transform: `translate(${w / 2 - 4},${-h / 2 + 3})` },
    svg('rect', { x: -11, y: -10, width: 22, height: 20, rx: 10 }), svg('text', { y: 4.5 }));
  const title = svg('title');
  title.textContent = label;
  const group = svg('a', { class: `node ${isEnd(node.id) ? 'end' : ''} ${node.graph ? 'group' : ''}`, transform: `translate(${item.x},${item.y})` }, title, ...parts);
  seen.nodes.set(key, { group, mark, title, label, type: node.type });
  if (item.inner) {
    group.append(drawLevel(item.inner, `${key}:`, seen, [-item.inner.w / 2, -h / 2 + HEAD]));
  }
  group.append(mark);
  return group;
}

function drawLevel(level, prefix, seen, [x, y]) {
  const out = svg('g', { transform: `translate(${x},${y})` });
  for (const { edge, d } of level.lines) {
    const path = svg('path', { class: `edge${edge.conditional ? ' maybe' : ''}`, d, 'marker-end': 'url(#arrow)' });
    seen.edges.push({ source: prefix + edge.source, target: prefix + edge.target, path });
    out.append(path);
  }
  out.append(...level.items.map((item) => drawNode(item, prefix, seen)));
  for (const { edge, label } of level.lines) {
    if (!edge.label) continue;
    const text = svg('text', { class: 'label', x: label[0], y: label[1] });
    text.textContent = short(edge.label, 22);
    out.append(text);
  }
  return out;
}

// Gives {element, nodes: Map of id to {group, mark, title, label}, edges: [{source, target, path}]}; ids inside of a
// subgraph are "outer:inner".
export function draw(graph, title) {
  const level = layout(graph);
  const seen = { nodes: new Map(), edges: [] };
  const [w, h] = [Math.ceil(level.w) + 2 * PAD + 8, Math.ceil(level.h) + 2 * PAD];
  const marker = (id) => svg('marker', { id, class: id, viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' }, svg('path', { d: 'M0,0.5 L7,4 L0,7.5 z' }));
  const element = svg('svg', { class: 'graph', viewBox: `0 0 ${w} ${h}`, width: w, height: h, role: 'group', 'aria-label': title },
    svg('defs', {}, marker('arrow'), marker('arrow-taken')), drawLevel(level, '', seen, [PAD, PAD]));
  element.style.minWidth = `${Math.round(Math.min(w, Math.max(w * 0.72, 280)))}px`;
  return { element, ...seen };
}
