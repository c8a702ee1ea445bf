import { expect, it } from "vitest";
import { outputWithoutCredentials } from "../../../services/pool-manager/packages/package-sources.ts";

it("a package's credentials are left out of the installer's output as the file and as the installer writes them", () => {
  const show = outputWithoutCredentials(["foo @ https:user:pa'SECRET<x@host/foo.whl"], {});
  expect(show("error: https:user:pa'SECRET<x@host/foo.whl")).toBe("error: https:****@host/foo.whl");
  expect(show("error: https://user:pa%27SECRET%3Cx@host/foo.whl")).toBe("error: https://****@host/foo.whl");
});

it.each([
  ["UV_INDEX_URL", "http://bob:PASSWORD@127.0.0.1:9/TOKEN/simple/"],
  ["UV_INDEX", "https://elsewhere/simple inner=http://bob:PASSWORD@127.0.0.1:9/TOKEN/simple"],
  ["PIP_EXTRA_INDEX_URL", "https://elsewhere/simple http://127.0.0.1:9/TOKEN/simple"],
])("the installer's output shows only the host of the package index in %s", (name, value) => {
  const show = outputWithoutCredentials([], { [name]: value, HTTPS_PROXY: "http://me:PROXY@proxy:3128" });
  expect(show("Failed to fetch: http://127.0.0.1:9/TOKEN/simple/foo/")).toBe(
    "Failed to fetch: http://127.0.0.1:9/****/foo/",
  );
  expect(show("at http://bob:****@127.0.0.1:9/TOKEN/simple, by http://me:PROXY@proxy:3128/")).toBe(
    "at http://****@127.0.0.1:9/****, by http://****@proxy:3128/",
  );
});

it("a URL in a setting that names no package index stays in the output of the installer", () => {
  const show = outputWithoutCredentials([], { HOME_PAGE: "https://host/path" });
  expect(show("see https://host/path")).toBe("see https://host/path");
});
