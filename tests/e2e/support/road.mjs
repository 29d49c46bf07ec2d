// A road to the server that can be cut.
import net from 'node:net';

/** @param {{port: number}} target */
export async function startRoad(target) {
  const sockets = new Set();
  let broken = false;
  const server = net.createServer((from) => {
    from.on('error', () => {});
    if (broken) return void from.resetAndDestroy();
    const to = net.connect(target.port, '127.0.0.1');
    for (const [one, other] of [[from, to], [to, from]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => [...sockets].forEach((socket) => socket.resetAndDestroy());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Whoever is on it loses the connection. */
    cut,
    /** Nobody gets through any more. */
    close: () => {
      broken = true;
      cut();
    },
    open: () => {
      broken = false;
    },
    stop: () => {
      [...sockets].forEach((socket) => socket.destroy());
      server.close();
    },
  };
}
