import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces } from "node:os";

/** What answers on this machine beside the service: reached by whoever shares its network. */
export type Outsiders = {
  /** Of this machine on its network; loopback where it is on none. */
  readonly address: string;
  readonly udpPort: number;
  readonly abstractName: string;
  /** Whether the UDP port echoes to a caller of this machine. */
  echoes(): Promise<boolean>;
  /** How often one was reached since the last `forget`. */
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
