import { describe, expect, it } from "vitest";
import { call, exchange, exchangeRaw, expectProblem, get, type Target } from "./rest-contract-client.ts";

const MIB = 1024 * 1024;
const CLOSE = "connection: close\r\n";

/** Tests of HTTP itself: wrong sizes, broken requests, HEAD, clients that write before they read. */
export function describeTransport(target: () => Target): void {
  describe("over raw HTTP", () => {
    it("the server gives a 40 MB body its 413 although the client sends all of it first", async () => {
      const body = Buffer.alloc(40 * MIB, "x");
      const head = `POST /execute HTTP/1.1\r\nhost: localhost\r\n${CLOSE}content-type: application/json\r\n`;
      const sized = await exchange(target(), [`${head}content-length: ${body.length}\r\n\r\n`, body]);
      expectProblem(sized, 413, "payload_too_large", /16 MiB/);
      const size = body.length.toString(16);
      const chunked = await exchange(target(), [
        `${head}transfer-encoding: chunked\r\n\r\n${size}\r\n`,
        body,
        "\r\n0\r\n\r\n",
      ]);
      expectProblem(chunked, 413, "payload_too_large", /16 MiB/);
      const elsewhere = await exchange(target(), [
        `POST /nowhere HTTP/1.1\r\nhost: localhost\r\n${CLOSE}content-length: ${body.length}\r\n\r\n`,
        body,
      ]);
      expectProblem(elsewhere, 404, "route_not_found");
    });

    it("the server refuses a transfer coding that it would not take off", async () => {
      const execute = JSON.stringify({ project: target().project, code: "1" });
      const answer = await exchange(target(), [
        `POST /execute HTTP/1.1\r\nhost: localhost\r\n${CLOSE}content-type: application/json\r\ntransfer-encoding: gzip, chunked\r\n\r\n`,
        `${execute.length.toString(16)}\r\n${execute}\r\n0\r\n\r\n`,
      ]);
      expectProblem(answer, 415, "unsupported_media_type", /Transfer-Encoding/);
    });

    it("the server keeps the connection usable after a 413", async () => {
      const head = `POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
      const raw = await exchangeRaw(target(), [
        `${head}content-length: ${40 * MIB}\r\n\r\n`,
        Buffer.alloc(40 * MIB, "x"),
        `GET /health HTTP/1.1\r\nhost: localhost\r\n${CLOSE}\r\n`,
      ]);
      expect(raw.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
    });

    it("the server answers HEAD like GET, without a body", async () => {
      const head = await call(target(), "HEAD", "/health");
      expect({ status: head.status, text: head.text }).toEqual({ status: 200, text: "" });
      expect(head.headers.get("content-length")).toBe("15");
    });

    it("the server accepts cancel, up and down without a body, whatever the content type", async () => {
      for (const headers of [
        "content-length: 0\r\n",
        "content-type: application/json\r\ncontent-length: 0\r\n",
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: 0\r\n",
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n",
        "",
      ]) {
        const end = headers.includes("chunked") ? "0\r\n\r\n" : "";
        const path = `/projects/${target().project}/up`;
        const answer = await exchange(target(), [
          `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${CLOSE}${headers}\r\n${end}`,
        ]);
        expect(answer.status, `${headers}${answer.text}`).toBe(200);
      }
    });

    it("the server asks for the Content-Type header when a body has none", async () => {
      const raw = `POST /execute HTTP/1.1\r\nhost: localhost\r\n${CLOSE}content-length: 2\r\n\r\n{}`;
      expectProblem(
        await exchange(target(), [raw]),
        415,
        "unsupported_media_type",
        /Content-Type: application\/json/,
      );
    });

    it("the server refuses bytes that are not HTTP, and headers without end", async () => {
      expectProblem(await exchange(target(), ["NONSENSE\r\n\r\n"]), 400, "malformed_http");
      expectProblem(
        await exchange(target(), [`GET /health HTTP/1.1\r\n${CLOSE}\r\n`]),
        400,
        "malformed_http",
        /Host/,
      );
      const long = `GET /health HTTP/1.1\r\nhost: localhost\r\nx-long: ${"x".repeat(64 * 1024)}\r\n\r\n`;
      expectProblem(await exchange(target(), [long]), 431, "headers_too_large", /16 KiB/);
      const smuggled =
        "POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
      expectProblem(await exchange(target(), [smuggled]), 400, "malformed_http");
    });

    it("the server refuses a request that names its host twice, or in two ways, and other versions of HTTP", async () => {
      const execute = JSON.stringify({ project: target().project, code: "1" });
      const ask = (line: string, ...headers: string[]) =>
        exchange(target(), [
          [line, ...headers, "content-type: application/json", `content-length: ${execute.length}`].join(
            "\r\n",
          ),
          `\r\n${CLOSE}\r\n${execute}`,
        ]);
      const line = "POST /execute HTTP/1.1";
      for (const hosts of [
        ["host: localhost", "host: localhost"],
        ["Host: localhost", "HOST: evil.example"],
        ["host: localhost", ...Array.from({ length: 1_000 }, () => "a:"), "host: evil.example"],
        ["host: localhost", ...Array.from({ length: 2_100 }, () => "a:"), "host: evil.example"],
      ]) {
        expectProblem(await ask(line, ...hosts), 400, "malformed_http", /more than one Host/);
      }
      const old = "GET /health HTTP/1.0\r\nhost: localhost\r\nhost: localhost\r\n\r\n";
      expectProblem(await exchange(target(), [old]), 400, "malformed_http", /more than one Host/);
      for (const version of ["HTTP/2.0", "HTTP/0.9"]) {
        const answer = await ask(`POST /execute ${version}`, "host: localhost");
        expectProblem(answer, 400, "malformed_http");
      }
      for (const url of ["http://evil.example/execute", "ftp://localhost/execute"]) {
        expectProblem(await ask(`POST ${url} HTTP/1.1`, "host: localhost"), 400, "malformed_http");
      }
      expect((await ask("POST http://localhost/execute HTTP/1.1", "host: LOCALHOST")).status).toBe(202);
      expect((await ask("POST /execute HTTP/1.0", "host: localhost")).status).toBe(202);
    });

    it("the server refuses web pages: names that a stranger may own, and other origins", async () => {
      const from = (headers: string, request = "GET /projects") =>
        exchange(target(), [`${request} HTTP/1.1\r\n${headers}${CLOSE}\r\n`]);
      for (const host of ["evil.example", "localhost.evil.example", "x", "127.0.0.1.evil.example:8000"]) {
        expectProblem(await from(`host: ${host}\r\n`), 403, "host_not_allowed", "localhost, 127.0.0.1");
      }
      const execute = "POST /execute";
      for (const origin of ["http://evil.example", "null", "http://localhost:1", "file://"]) {
        const headers = `host: localhost:8000\r\norigin: ${origin}\r\ncontent-length: 0\r\n`;
        expectProblem(await from(headers, execute), 403, "origin_not_allowed", /program/);
      }
      const { host } = new URL(target().url);
      for (const own of [host, "localhost", "LOCALHOST:80", "[::1]:8000", "127.0.0.1"]) {
        expect((await from(`host: ${own}\r\norigin: http://${own.toLowerCase()}\r\n`)).status).toBe(200);
      }
    });

    it("the server does not repeat a Host header that is not a host", async () => {
      const raw = `GET /skill.md HTTP/1.1\r\nhost: x/ evil\`$(id)\`\r\n${CLOSE}\r\n`;
      const answer = await exchange(target(), [raw]);
      expectProblem(answer, 403, "host_not_allowed");
      expect(answer.text).not.toContain("evil");
      expect((await get(target(), "/skill.md")).text).toContain(target().url);
    });
  });
}
