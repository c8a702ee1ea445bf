import { join } from "node:path";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  type Client,
  type ClientDuplexStream,
  loadPackageDefinition,
  type ServiceClientConstructor,
  status,
} from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, loadSync } from "@grpc/proto-loader";
import fc from "fast-check";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectTo } from "#common/grpc/client.ts";
import { openTlsIdentity, type TlsIdentity } from "#common/identity/tls-identity.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { startTlsServices, type TlsServices } from "../../harness/tls-services.ts";

const REFLECTION_PROTOS = join(
  import.meta.dirname,
  "../../../node_modules/@grpc/reflection/build/proto/grpc/reflection",
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
    { kind: "client", name: "billing" },
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
  const client = connectTo(
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
    ["authority", "airlock.v1.AuthorityService"],
  ] as const)("reflection of the %s lists the services that it serves", async (service, name) => {
    const { listServicesResponse } = await ask(service, version, { listServices: "*" });
    expect(listServicesResponse?.service.map((each) => each.name).sort()).toEqual(
      [name, "airlock.v1.ReadinessService", "grpc.health.v1.Health"].sort(),
    );
  });

  it("reflection reports a symbol that it does not know", async () => {
    const { errorResponse } = await ask("router", version, { fileContainingSymbol: "airlock.v1.Nothing" });
    expect(errorResponse?.errorCode).toBe(5);
  });
});

describe("a reflection request that cannot be read", () => {
  /** The status of a stream of these messages, as raw bytes. */
  const statusFor = async (version: string, ...messages: Buffer[]) => {
    const client = connectTo(SecretsServiceClient, services.addresses.secrets, billing, "secrets");
    const plain = (bytes: Buffer) => bytes;
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const stream = client.makeBidiStreamRequest(path, plain, plain, { deadline: Date.now() + 10_000 });
    const ended = new Promise<{ code: number; details: string }>((resolve) => {
      stream.on("error", () => undefined);
      stream.on("data", () => undefined);
      stream.on("status", resolve);
    });
    for (const message of messages) stream.write(message);
    stream.end();
    return await ended.finally(() => client.close());
  };

  it.each(["v1", "v1alpha"])(
    "a reflection request of %s that cannot be read is refused, and the service lives on",
    async (version) => {
      const wrongWireType = Buffer.from([0x0c]);
      const refused = {
        code: status.INVALID_ARGUMENT,
        details: expect.stringContaining("send a ServerReflectionRequest"),
      };
      expect(await statusFor(version, wrongWireType)).toMatchObject(refused);
      expect(await statusFor(version, Buffer.from([0x0a, 0xff]))).toMatchObject(refused);
      const many = Array(5).fill(wrongWireType);
      expect(await statusFor(version, Buffer.from([0x3a, 1, 0x2a]), ...many)).toMatchObject(refused);
      const { listServicesResponse } = await ask("secrets", version, { listServices: "*" });
      expect(listServicesResponse?.service).not.toHaveLength(0);
    },
  );

  it("a reflection request of any bytes ends with a status", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 40 }), async (bytes) => {
        const { code } = await statusFor("v1", Buffer.from(bytes));
        expect([status.OK, status.INVALID_ARGUMENT]).toContain(code);
      }),
      { numRuns: 150 },
    );
  });
});

describe("the descriptors", () => {
  const registryOf = async (service: keyof TlsServices["addresses"], fileContainingSymbol: string) => {
    const { fileDescriptorResponse } = await ask(service, "v1", { fileContainingSymbol });
    const files = fileDescriptorResponse?.fileDescriptorProto ?? [];
    // A file comes before those that it imports; the registry wants them the other way round.
    const file = files.map((each) => fromBinary(FileDescriptorProtoSchema, each)).reverse();
    return createFileRegistry(create(FileDescriptorSetSchema, { file }));
  };

  it("the descriptors of reflection are those of the .proto files: one file each, with maps and optional fields", async () => {
    const registry = await registryOf("router", "airlock.v1.RouterService");
    expect([...registry.files].map((file) => file.proto.name).sort()).toEqual([
      "airlock/v1/execution.proto",
      "airlock/v1/readiness.proto",
      "airlock/v1/router.proto",
    ]);
    const { settings, timeoutMs } = registry.getMessage("airlock.v1.SubmitRequest")?.field ?? {};
    expect(settings?.fieldKind).toBe("map");
    expect(timeoutMs?.proto.proto3Optional).toBe(true);
  });

  it("the descriptors of reflection for the health service have its maps too", async () => {
    const registry = await registryOf("secrets", "grpc.health.v1.Health");
    const { statuses } = registry.getMessage("grpc.health.v1.HealthListResponse")?.field ?? {};
    expect(statuses?.fieldKind).toBe("map");
  });
});

describe("a client made from the answers of reflection", () => {
  it("a client made from the answers of reflection calls the router", async () => {
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
    const client = connectTo(Router as never, services.addresses.router, billing, "router") as Client & {
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
