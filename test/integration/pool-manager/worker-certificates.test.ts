import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeCertificates } from "../../harness/tls-services.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");
// So many at once that a configuration which is replaced at each of them takes the worker down.
const CONNECTIONS = 600;
// glibc fills freed memory with this byte, so that code that still uses it crashes.
const PERTURBED = { MALLOC_PERTURB_: "165" };

let directory: string;
let worker: ChildProcessWithoutNullStreams;
let said: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-handed-"));
  const options = ["--tls-stdin", "--run-dir", join(directory, "run"), "--python", PYTHON];
  worker = spawn(
    PYTHON,
    ["-m", "airlock_worker", "--worker-id", "w", "--listen", "127.0.0.1:0", ...options],
    {
      cwd: join(ROOT, "worker"),
      env: PERTURBED,
    },
  );
  worker.stdout.resume();
  said = "";
  worker.stderr.on("data", (data) => {
    said += data;
  });
});
afterEach(async () => {
  if (worker.exitCode === null && worker.signalCode === null) {
    worker.kill("SIGKILL");
    await once(worker, "exit");
  }
  await rm(directory, { recursive: true });
});

const identity = async (service: string) => {
  const read = (name: string) => readFile(join(directory, "certificates", service, `${name}.pem`), "utf8");
  const [ca, cert, key] = await Promise.all([read("ca"), read("cert"), read("key")]);
  return { ca, cert, key };
};

/** Makes certificates and hands over the worker's. */
async function handOver(): Promise<void> {
  await makeCertificates(join(directory, "certificates"));
  worker.stdin.write(`${JSON.stringify(await identity("worker"))}\n`);
}

/** The fingerprint of the certificate with which the worker answers a new connection. */
async function answers(): Promise<string> {
  const port = Number(/"address": *"127.0.0.1:(\d+)"/.exec(said)?.[1]);
  const options = { port, host: "127.0.0.1", ALPNProtocols: ["h2"], checkServerIdentity: () => undefined };
  const socket: TLSSocket = connect({ ...options, ...(await identity("pool-manager")) });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

it("a worker answers any number of connections with its first certificates, then with renewed ones", async () => {
  await handOver();
  await expect.poll(() => said).toContain('"listening"');
  const many = () => Promise.all(Array.from({ length: CONNECTIONS }, answers));
  const first = new Set(await many());
  expect(first.size).toBe(1);
  await handOver();
  await expect.poll(answers).not.toBe([...first][0]);
  const renewed = new Set(await many());
  expect(renewed.size).toBe(1);
  expect([worker.exitCode, worker.signalCode]).toEqual([null, null]);
});
