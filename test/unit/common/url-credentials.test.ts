import { expect, it } from "vitest";
import { isRequirement } from "#common/projects/requirement.ts";
import { endOfText, shownRequirement, withoutUrlCredentials } from "#common/projects/url-credentials.ts";

it.each([
  ["foo @ https://user:PASSWORD@host/foo.whl", "foo @ https://****@host/foo.whl"],
  ["foo @ git+https://TOKEN@host/repo.git@v1#egg=foo", "foo @ git+https://****@host/repo.git@v1#egg=foo"],
  ["https://user:with@in@host/a", "https://****@host/a"],
  ["https://host/a.whl?sig=SIGNATURE&se=2026#sha256=00", "https://host/a.whl?****#sha256=00"],
  [
    'Failed to fetch: "http://u:p@host/simple/", or http://v:q@other?t=1',
    'Failed to fetch: "http://****@host/simple/", or http://****@other?****',
  ],
])("%s is shown without its URL's credentials", (text, shown) =>
  expect(withoutUrlCredentials(text)).toBe(shown),
);

it.each([
  "pandas>=3,<4",
  "foo[bar]; python_version < '3.13'",
  "foo @ https://host/foo@1.whl",
  "a // b @ c? d",
])("nothing of %s is hidden as a URL's credentials", (text) =>
  expect(withoutUrlCredentials(text)).toBe(text),
);

it("a text that is cut does not begin in the middle of a URL", () => {
  const text = `${"x".repeat(100)} https://user:PASSWORD@host/a fails`;
  for (let length = 0; length < text.length; length++) {
    expect(withoutUrlCredentials(endOfText(text, length))).not.toMatch(/[DORWPAS]{1,7}|D@/);
  }
  expect(endOfText(text, 1_000)).toBe(text);
});

it.each([
  ["foo @ https://user:pa'SECRET@host/foo.whl", "foo @ https://****@host/foo.whl"],
  ['foo @ https://user:pa<SECRET>"@host/foo.whl#sha256=0', "foo @ https://****@host/foo.whl#sha256=0"],
  ["foo @ https:user:SECRET@host/a", "foo @ https://****@host/a"],
  [
    "foo[x] @ https:\\\\user:SECRET@host/a ; python_version < '3.13'",
    "foo[x] @ https://****@host/a ; python_version < '3.13'",
  ],
  ["foo @ git+https://SECRET@host/repo.git@v1#egg=foo", "foo @ git+https://****@host/repo.git@v1#egg=foo"],
  ["foo @ git+https:user:SECRET@host/repo", "foo @ git+https:****"],
  ["foo @ https://host/a'b.whl?sig='SECRET'", "foo @ https://host/a'b.whl?****"],
  ["foo @ https://host/foo@1.whl", "foo @ https://host/foo@1.whl"],
  ["foo @ file:///wheels/foo.whl", "foo @ file:///wheels/foo.whl"],
  ["pandas[excel]>=3,<4; python_version < '3.13'", "pandas[excel]>=3,<4; python_version < '3.13'"],
])("the package %s is shown without credentials", (requirement, shown) => {
  expect(isRequirement(requirement)).toBe(true);
  expect(shownRequirement(requirement)).toBe(shown);
});
