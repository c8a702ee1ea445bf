import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Server, ServerCredentials, type ServiceDefinition, status } from "@grpc/grpc-js";
import type Docker from "dockerode";
import { HealthImplementation } from "grpc-health-check";
import type { BuildSecrets } from "./build-settings.ts";
import { engineError } from "./engine.ts";

/**
 * The connection over which the Docker engine asks for the secrets of a BuildKit build, such as the
 * installer's settings. A build names its session by `id`.
 */
export type BuildSession = { readonly id: string; close(): void };

const GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret";

// The fields of BuildKit's protobuf messages that are used: GetSecretRequest{string ID = 1},
// GetSecretResponse{bytes data = 1}.
const SECRETS: ServiceDefinition = {
  GetSecret: {
    path: GET_SECRET,
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: readFirstField,
    responseSerialize: writeFirstField,
    responseDeserialize: () => Buffer.alloc(0),
  },
};

/**
 * Opens a build session at the Docker engine. In this session the engine is the gRPC client, and this process
 * is the server, which answers with `secrets`. Rejects with `start_failed`.
 */
export async function openBuildSession(docker: Docker, secrets: BuildSecrets): Promise<BuildSession> {
  const id = randomUUID();
  const socket = await upgrade(docker, id);
  const server = new Server();
  server.addService(SECRETS, {
    GetSecret(call: { request: Buffer }, callback: (error: object | null, data?: Buffer) => void) {
      const data = secrets.get(call.request.toString("utf8"));
      if (data) callback(null, data);
      else callback({ code: status.NOT_FOUND, details: "there is no such build secret" });
    },
  });
  // The health service is needed, because the engine drops a session whose health it cannot check.
  new HealthImplementation({ "": "SERVING" }).addToServer(server);
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  return {
    id,
    close() {
      server.forceShutdown();
      socket.destroy();
    },
  };
}

function upgrade(docker: Docker, id: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    docker.modem.dial(
      {
        method: "POST",
        path: "/session",
        hijack: true,
        headers: {
          Upgrade: "h2c",
          "X-Docker-Expose-Session-Uuid": id,
          "X-Docker-Expose-Session-Name": "airlock",
          "X-Docker-Expose-Session-Grpc-Method": [GET_SECRET],
        },
        statusCodes: { 200: true, 500: "server error" },
      },
      (error: unknown, socket: unknown) => (error ? reject(engineError(error)) : resolve(socket as Socket)),
    );
  });
}

function readFirstField(message: Buffer): Buffer {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1) return Buffer.from(reader.bytes());
    reader.skip(wireType, number);
  }
  return Buffer.alloc(0);
}

function writeFirstField(data: Buffer): Buffer {
  return Buffer.from(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(data).finish());
}
