import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A Unix socket that leads to another one, and on which connections break. */
export type Way = {
  /** How many connections were made over it. */
  count(): number;
  /** Breaks every connection; new ones are taken. */
  cut(): void;
  /** Breaks every connection and takes none. */
  close(): void;
  open(): Promise<void>;
};

export async function openWay(from: string, to: string): Promise<Way> {
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
