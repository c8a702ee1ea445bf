import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A Unix socket that forwards to another one, and whose connections a test breaks. */
export type BreakableSocket = {
  /** The number of connections so far. */
  count(): number;
  /** Breaks all connections; new ones are accepted. */
  cut(): void;
  /** Breaks all connections and accepts no new ones, until `open`. */
  close(): void;
  /** Accepts connections again after `close`. */
  open(): Promise<void>;
};

/** Listens on the path `from` and forwards each connection to the path `to`. */
export async function openBreakableSocket(from: string, to: string): Promise<BreakableSocket> {
  const connections = new Set<Socket>();
  let made = 0;
  let server: Server;
  const take = (socket: Socket) => {
    made++;
    connections.add(socket);
    const onward = connect(to);
    socket.on("error", () => undefined).on("close", () => onward.destroy());
    onward.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  };
  const cut = () => {
    for (const socket of connections) socket.destroy();
    connections.clear();
  };
  const open = async () => {
    server = createServer(take).listen(from);
    await once(server, "listening");
  };
  await open();
  return {
    count: () => made,
    cut,
    close() {
      server.close();
      cut();
    },
    open,
  };
}
