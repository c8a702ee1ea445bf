import { join } from "node:path";
import {
  type Client,
  type ClientDuplexStream,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, loadSync } from "@grpc/proto-loader";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../services/common/grpc-client.ts";
import { openTlsIdentity, type TlsIdentity } from "../../services/common/tls-identity.ts";
import { startTlsServices, type TlsServices } from "../support/tls-services.ts";

const REFLECTION_PROTOS = join(
  import.meta.dirname,
  "../../node_modules/@grpc/reflection/build/proto/grpc/reflection",
);

type Answer = {
  listServicesResponse?: { service: { name: string }[] };
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
  errorResponse?: { errorCode: number };
};
type ReflectionClient = Client & {
  serverReflectionInfo(): ClientDuplexStream<Record<string, string>, Answer>;
};

let services: TlsServices;
let billing: TlsIdentity;
beforeAll(async () => {
  services = await startTlsServices();
  billing = await openTlsIdentity(
    join(services.certificates, "client-billing"),
    "client",
    pino({ level: "silent" }),
  );
});
afterAll(async () => {
  billing.close();
  await services.stop();
});

/** One question, asked as a tool does that has never seen our .proto files. */
async function ask(
  service: keyof TlsServices["addresses"],
  version: string,
  question: Record<string, string>,
) {
  const loaded = loadSync(join(REFLECTION_PROTOS, version, "reflection.proto"));
  const Service = loaded[`grpc.reflection.${version}.ServerReflection`];
  const Constructor = (
    loadPackageDefinition({ R: Service as never }) as unknown as { R: ServiceClientConstructor }
  ).R;
  const client = connect(
    Constructor as never,
    services.addresses[service],
    billing,
    service,
  ) as ReflectionClient;
  try {
    const stream = client.serverReflectionInfo();
    return await new Promise<Answer>((resolve, reject) => {
      stream.on("data", resolve);
      stream.on("error", reject);
      stream.write(question);
      stream.end();
    });
  } finally {
    client.close();
  }
}

describe.each(["v1", "v1alpha"])("reflection %s", (version) => {
  it.each([
    ["router", "airlock.v1.RouterService"],
    ["pool-manager", "airlock.v1.PoolManagerService"],
    ["secrets", "airlock.v1.SecretsService"],
    ["sanitizer", "airlock.v1.SanitizerService"],
    ["egress", "airlock.v1.EgressService"],
  ] as const)("of the %s lists what it serves", async (service, name) => {
    const { listServicesResponse } = await ask(service, version, { listServices: "*" });
    expect(listServicesResponse?.service.map((each) => each.name).sort()).toEqual([
      name,
      "grpc.health.v1.Health",
    ]);
  });

  it("says what it does not know", async () => {
    const { errorResponse } = await ask("router", version, { fileContainingSymbol: "airlock.v1.Nothing" });
    expect(errorResponse?.errorCode).toBe(5);
  });
});

describe("a client made of what reflection told it", () => {
  it("calls the router", async () => {
    const { fileDescriptorResponse } = await ask("router", "v1", {
      fileContainingSymbol: "airlock.v1.RouterService",
    });
    const files = fileDescriptorResponse?.fileDescriptorProto ?? [];
    // A FileDescriptorSet: each file is field 1 of it.
    const set = Buffer.concat(
      files.map((file) => Buffer.concat([Buffer.from([10]), varint(file.length), file])),
    );
    const definition = loadFileDescriptorSetFromBuffer(set, { arrays: true })["airlock.v1.RouterService"];
    const { Router } = loadPackageDefinition({ Router: definition as never }) as unknown as {
      Router: ServiceClientConstructor;
    };
    const client = connect(Router as never, services.addresses.router, billing, "router") as Client & {
      listExecutions(request: object, callback: (error: Error | null, response: unknown) => void): void;
    };
    const response = await new Promise((resolve, reject) =>
      client.listExecutions({ limit: 5 }, (error, answer) => (error ? reject(error) : resolve(answer))),
    );
    client.close();
    expect(response).toMatchObject({ executions: [] });
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}
