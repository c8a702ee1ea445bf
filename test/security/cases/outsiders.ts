import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces } from "node:os";

/** Listeners on this machine besides Airlock, which every process in the machine's network can reach. */
export type Outsiders = {
  /** This machine's address on its network; loopback without a network. */
  readonly address: string;
  readonly udpPort: number;
  readonly abstractName: string;
  /** Whether the UDP port answers a program on this machine. */
  echoes(): Promise<boolean>;
  /** The number of connections and packets since the last `forget`. */
  reached(): number;
  forget(): void;
  close(): void;
};

export async function startOutsiders(): Promise<Outsiders> {
  let reached = 0;
  const udp = createSocket("udp4");
  udp.on("message", (message, sender) => {
    reached++;
    udp.send(message, sender.port, sender.address);
  });
  udp.bind(0);
  await once(udp, "listening");
  const { port } = udp.address() as AddressInfo;
  const abstractName = `airlock-hostile-${randomBytes(6).toString("hex")}`;
  const abstract = createServer((socket) => {
    reached++;
    socket.destroy();
  });
  abstract.listen(`\0${abstractName}`);
  await once(abstract, "listening");
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return {
    address: addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1",
    udpPort: port,
    abstractName,
    reached: () => reached,
    forget() {
      reached = 0;
    },
    async echoes() {
      const caller = createSocket("udp4");
      caller.send("hello", port, "127.0.0.1");
      const [answer] = await once(caller, "message", { signal: AbortSignal.timeout(5_000) });
      caller.close();
      return String(answer) === "hello";
    },
    close() {
      udp.close();
      abstract.close();
    },
  };
}
