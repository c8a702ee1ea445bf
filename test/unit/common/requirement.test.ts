import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isRequirement } from "#common/projects/requirement.ts";

const PYTHON = join(import.meta.dirname, "..", "..", "..", ".venv", "bin", "python");
const JUDGE = `
import json, sys
from packaging.requirements import InvalidRequirement, Requirement
def fits(text):
    try:
        Requirement(text)
        return True
    except InvalidRequirement:
        return False
print(json.dumps([fits(text) for text in json.load(sys.stdin)]))
`;

const NAMES = ["pandas", "A", "zope.interface", "ruamel_yaml-2", "-x", "x-", "a b", "é", ""];
const EXTRAS = ["", "[]", "[excel]", "[excel, html ]", "[,]", "[a b]", "[a"];
const VERSIONS = [
  ...[
    "",
    "==1",
    "==1.2.*",
    "!=2.*",
    ">=3,<4",
    ">= 3 , < 4",
    "~=1.4",
    "~=1",
    "===anything-1",
    "(>=1)",
    "(>=1",
  ],
  ...[
    "=1",
    "=>1",
    "==",
    "==1.*.2",
    ">1.*",
    "==1!2.0.post1.dev3",
    "==1.0a1",
    "==1.0rc",
    "==1.0+local.1",
    ">=1.0+x",
  ],
  ...["1.0", ">=3 <4", ">=x", "==1.0-1", "==v1", "<=2,!=1.5"],
];
const MARKERS = [
  ...["", "; python_version < '3.13'", ';sys_platform == "linux" and (os_name!="nt" or extra == "x")'],
  ...[
    "; python_version",
    "; python_version < 3",
    "; 'a' in platform_machine",
    "; 'a' not in os_name",
    "; nonsense == 'x'",
  ],
  ...[
    "; (os_name == 'a'",
    "; os_name == 'a')",
    "; os_name == 'a' and",
    ";",
    "; os_name = 'a'",
    "; os_name == 'a' os_name",
  ],
];
const WHOLE = [
  ...[
    "name @ https://host.example/file.whl",
    "name@https://u:p@h/f.whl#sha256=00",
    "name @ git+https://h/r.git@v1",
  ],
  ...["name @ file:///srv/f.whl", "name[x] @ https://h/f ; os_name == 'a'", "name @ ", "name @ not a url"],
  ...[
    "https://host/file.whl",
    "./here",
    "this is not pep508",
    "-r more.txt",
    "pandas # comment",
    "pandas;",
    "\tpandas ",
  ],
];

describe("a requirement", () => {
  it("a text is a requirement where Python's packaging library takes it for one", () => {
    const texts = [
      ...WHOLE,
      ...NAMES.flatMap((name) => EXTRAS.map((extras) => name + extras)),
      ...VERSIONS.flatMap((version) => MARKERS.map((marker) => `pandas${version}${marker}`)),
      ...VERSIONS.map((version) => `pandas [excel] ${version}`),
    ];
    const judged: boolean[] = JSON.parse(
      execFileSync(PYTHON, ["-c", JUDGE], { input: JSON.stringify(texts), encoding: "utf8" }),
    );
    expect(judged.filter(Boolean).length).toBeGreaterThan(50);
    expect(judged.filter((fits) => !fits).length).toBeGreaterThan(50);
    const ours = texts.map(isRequirement);
    expect(texts.filter((_, at) => ours[at] !== judged[at])).toEqual([]);
  });

  it("a hostile text takes no longer to check as a requirement", () => {
    const before = performance.now();
    for (const part of ["a-", "a.", "[a,", ">=1,", ">=1.", "(", " ", "; os_name == 'a' and "]) {
      isRequirement(`pandas${part.repeat(500 / part.length)}!`);
    }
    expect(performance.now() - before).toBeLessThan(500);
  });
});
