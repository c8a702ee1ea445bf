// A program that tests run as another user: calls each RPC of {"/service/Rpc": "unix:/path"} and prints gRPC statuses
// as JSON.
import { Client, credentials } from "@grpc/grpc-js";

const DEADLINE_MS = 10_000;

function statusOf(address: string, path: string): Promise<number> {
  const client = new Client(address, credentials.createInsecure());
  const plain = (value: Buffer) => value;
  return new Promise<number>((resolve) => {
    const stream = client.makeBidiStreamRequest(path, plain, plain, { deadline: Date.now() + DEADLINE_MS });
    stream.on("data", () => {
      resolve(0);
      stream.cancel();
    });
    stream.on("error", ({ code }: { code?: number }) => resolve(code ?? -1));
    stream.on("end", () => resolve(0));
    stream.write(Buffer.alloc(0));
    stream.end();
  }).finally(() => client.close());
}

const addresses = JSON.parse(process.argv[2] ?? "{}") as Record<string, string>;
const calls = Object.entries(addresses).map(async ([path, address]) => [path, await statusOf(address, path)]);
process.stdout.write(JSON.stringify(Object.fromEntries(await Promise.all(calls))));
